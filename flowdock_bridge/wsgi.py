"""The bridge's WSGI application, for a WSGI server of your own.

The proxy in front of it must then enforce the deadlines that `python manage.py serve` enforces: see docs/deploying.md.
"""

import os

from django.core.wsgi import get_wsgi_application
from django.db.backends.signals import connection_created

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")

from hosting.request_ids import RequestIds
from integrations.transactions import limit_statements

application = RequestIds(get_wsgi_application())
connection_created.connect(limit_statements, dispatch_uid="flowdock_bridge.wsgi")
