"""The bridge's WSGI application, for a WSGI server of your own.

The proxy in front of it must then enforce the deadlines that `python manage.py serve` enforces: see docs/deploying.md.
"""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")

application = get_wsgi_application()
