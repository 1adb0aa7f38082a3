"""An id for each request: in the response, and in each line that is logged about it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from hosting import logs

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """WSGI middleware. It takes the id from X-Request-ID if that is well-formed, or else chooses one."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if WELL_FORMED.fullmatch(given) else secrets.token_hex(8)

        def start_with_id(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, ("X-Request-ID", request_id)], *more)

        with logs.context(request_id=request_id):
            return self.application(environ, start_with_id)
