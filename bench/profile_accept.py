"""Where the CPU time of an accept goes: `python -m bench.profile_accept [REQUESTS] [bare]`, with DATABASE_URL.

It calls the WSGI application in one thread, without a web server: first plainly, for the CPU time of one request, then
under cProfile. With "bare" it does the same with the bare view. It needs a migrated database of its own.
"""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.payloads import BARE_HOOK_ID, SignedRequests

LINES = 45
WARM = 50  # requests


def environ_of(request: bytes) -> dict[str, Any]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH")
    return environ | {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": first.split()[1],
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def bridge() -> tuple[Callable[..., Any], str, str]:
    """The application, and the path and the secret of a new origin."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")
    from flowdock_bridge.wsgi import application
    from integrations.models import Integration, Origin

    origin = Origin.objects.create(service="github", name="octo/profiled")
    Integration.objects.create(origin=origin, name="octo/profiled", flow_token="bench")
    return application, f"/hooks/{origin.hook_id}/", origin.secret


def bare() -> tuple[Callable[..., Any], str, str]:
    from bench import bare

    return bare.application, f"/hooks/{BARE_HOOK_ID}/", bare.create_tables()


def main(count: int, make: Callable[[], tuple[Callable[..., Any], str, str]]) -> None:
    application, path, secret = make()
    requests = SignedRequests(path, "127.0.0.1", secret)

    def run(times: int) -> float:
        """CPU microseconds of this process for each request."""
        environs = [environ_of(requests.next()) for _ in range(times)]
        began = time.process_time()
        for environ in environs:
            response = application(environ, lambda status, headers: None)
            b"".join(response)
            response.close()
            if response.status_code != 202:
                raise SystemExit(f"answered {response.status_code}: {response.content!r}")
        return (time.process_time() - began) / times * 1e6

    run(WARM)
    print(f"{min(run(count // 4) for _ in range(4)):.0f} us of CPU for each request, without the web server")
    profile = cProfile.Profile()
    profile.runcall(run, count)
    for order in ("cumulative", "tottime"):
        pstats.Stats(profile).strip_dirs().sort_stats(order).print_stats(LINES)


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:] if each.isdecimal()]
    main(numbers[0] if numbers else 400, bare if "bare" in sys.argv else bridge)
