"""`granian --interface asgi flowdock_server.asgi:application`"""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_server.settings")

application = get_asgi_application()
