"""What machines ask: whether the process is alive, whether it can serve, and the metrics."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.log import log_response
from django.views.decorators.http import require_safe

from hosting.health import ALIVE, ALIVE_PATH
from integrations import monitoring, readiness

logger = logging.getLogger(__name__)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200: the process is alive. Under `serve`, its event loop answers this itself."""
    return HttpResponse(ALIVE, content_type="application/json", headers={"Cache-Control": "no-store"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200: the process can serve; 503: it cannot, with the reason for each check."""
    found = readiness.check()
    words = json.dumps({"status": "ready" if found.is_ready else "not ready", "checks": found.checks})
    status = 200 if found.is_ready else 503
    response = HttpResponse(f"{words}\n", status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    if not found.is_ready:
        log_response("%s", words, response=response, request=request, logger=logger, level="warning")
    return response


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics, for Prometheus. 401: not METRICS_TOKEN; 404: it is not set."""
    if not settings.METRICS_TOKEN:
        return HttpResponse("Set METRICS_TOKEN to collect metrics.\n", status=404, content_type="text/plain")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        return HttpResponse(
            "Send METRICS_TOKEN as a bearer token.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    body, content_type = monitoring.exposition(request.headers.get("Accept", ""))
    return HttpResponse(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


VIEWS: dict[str, Callable[[HttpRequest], HttpResponse]] = {ALIVE_PATH: healthz, "/readyz": readyz, "/metrics": metrics}
