"""The bridge's ASGI application, for servers that have no WSGI interface."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")

application = get_asgi_application()
