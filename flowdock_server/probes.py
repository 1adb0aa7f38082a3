"""Probes: `/healthz` and `/readyz`, for load balancers and supervisors.

They are answered before everything else: a load balancer uses the process's address instead of its host name, and http
although people use https. No page and no API call has these paths.
"""

import json
import logging
import threading
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.utils.log import log_response

from hosting.health import ALIVE, ALIVE_PATH, Timed

logger = logging.getLogger(__name__)

READY_PATH = "/readyz"
PATIENCE = 1.0  # seconds
FRESH_FOR = 1.0  # seconds
_OK = "ok"
_NOT_CHECKED = "not checked"
_applied = threading.Event()


class ProbeMiddleware:
    """Answers the probes; everything else goes on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in (ALIVE_PATH, READY_PATH):
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        # Under `serve`, the event loop answers the first.
        response = HttpResponse(ALIVE) if request.path_info == ALIVE_PATH else _readiness(request)
        response["Content-Type"] = "application/json"
        response["Cache-Control"] = "no-store"
        return response


def _readiness(request: HttpRequest) -> HttpResponse:
    """200: the server can serve; 503: it cannot. The texts are public, so the errors are only in the log."""
    late = {"database": f"did not answer within {PATIENCE:.0f} s", "migrations": _NOT_CHECKED}
    checks = _checked() or late
    is_ready = all(result == _OK for result in checks.values())
    text = json.dumps({"status": "ready" if is_ready else "not ready", "checks": checks})
    response = HttpResponse(f"{text}\n", status=200 if is_ready else 503)
    if not is_ready:
        log_response("%s", text, response=response, request=request, logger=logger, level="warning")
    return response


def _check() -> dict[str, str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        migrations = _OK if _are_migrations_applied() else "not applied: run `python -m flowdock_server migrate`"
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The database is not available: %s: %s", type(error).__name__, str(error).partition("\n")[0])
        return {"database": "not available", "migrations": _NOT_CHECKED}
    finally:
        connection.close()
    return {"database": _OK, "migrations": migrations}


_checked = Timed(_check, seconds=PATIENCE, fresh_for=FRESH_FOR)


def _are_migrations_applied() -> bool:
    """Whether all migrations of this version are applied. Once they are, this is not checked again."""
    if not _applied.is_set():
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            _applied.set()
    return _applied.is_set()
