"""The bare view behind the bridge's own web server, which shows what that server takes: `... PORT PROCESSES`."""

from __future__ import annotations

import sys

from django.conf import settings

from bench.bare import application as bare
from hosting import server
from hosting.bodies import Bodies
from hosting.gate import Gate, Limits
from hosting.wsgi import Front

LARGEST = 25 * 1024 * 1024

application = Front(
    bare,
    threads=settings.WEB_THREADS,
    bodies=Bodies(settings.DATA_DIR, LARGEST),
    largest_body=lambda scope: LARGEST,
)

if __name__ == "__main__":
    listener = server.listening("127.0.0.1", int(sys.argv[1]))
    config = server.configured(
        "bench.bare_behind_front:application", Gate(Limits(1000, 1000)), workers=int(sys.argv[2])
    )
    server.supervise(config, [listener])
