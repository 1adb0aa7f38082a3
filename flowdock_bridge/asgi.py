"""The application that `python manage.py serve` runs: WSGI, behind a front that limits requests."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")

from django.conf import settings

from flowdock_bridge.wsgi import application as pages_and_hooks
from hosting import health
from hosting.bodies import Bodies
from hosting.wsgi import Front, Receive, Scope, Send

# How many bodies of the largest size may be stored in files at the same time.
LARGE_BODIES = 20


def largest_body(scope: Scope) -> int:
    is_hook = scope["path"].startswith("/hooks/")
    return settings.HOOK_MAX_BYTES if is_hook else settings.DATA_UPLOAD_MAX_MEMORY_SIZE


_front = Front(
    pages_and_hooks,
    threads=settings.WEB_THREADS,
    bodies=Bodies(settings.DATA_DIR, LARGE_BODIES * settings.HOOK_MAX_BYTES),
    largest_body=largest_body,
    trusts_forwarded_for=settings.TRUST_FORWARDED_FOR,
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if health.asks_if_alive(scope):
        await health.answer_alive(send)
    else:
        await _front(scope, receive, send)
