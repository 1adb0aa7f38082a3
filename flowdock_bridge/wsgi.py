"""The bridge's WSGI application: `granian --interface wsgi flowdock_bridge.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")

application = get_wsgi_application()
