"""What is true of every call, before a view is found and after it has answered."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from .errors import failure

# The rest of the host belongs to pages.
_CALL = re.compile(
    r"\A(?:/v1)?(/(?:activities|comments|flows|messages|openapi|organizations|private|sources|users?)(?:/.*)?)\Z",
    re.DOTALL,
)
_ALLOW_METHODS = "POST, PUT, PATCH, DELETE, GET, OPTIONS"
_ALLOW_HEADERS = (
    "Origin, Accept, Content-type, Authorization, X-CSRF-Token, X-Requested-With, X-Prototype-Version, "
    "X-flowdock-wait-for-message"
)


class ApiMiddleware:
    """Addresses in all three spellings, CORS, `Flowdock-User`, and errors in Flowdock's form from anywhere."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # /v1/flows.json, /v1/flows and /flows are one address.
        call = _CALL.match(request.path_info.removesuffix(".json"))
        if not call:
            return self.get_response(request)
        request.path_info = call[1].rstrip("/")
        if request.method == "OPTIONS":
            response: HttpResponseBase = HttpResponse(status=200)
        else:
            response = self.get_response(request)
            if response.status_code >= 400 and response.get("Content-Type", "") != "application/json":
                allow = response.get("Allow")
                response = failure(response.status_code)
                if allow:
                    response["Allow"] = allow
        if response.get("Content-Type") == "application/json":
            response["Content-Type"] = "application/json; charset=utf-8"
        if (user := getattr(getattr(request, "auth", None), "user", None)) is not None:
            response["Flowdock-User"] = str(user.pk)
        if origin := request.headers.get("Origin"):
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Allow-Methods"] = _ALLOW_METHODS
            response["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
            response["Access-Control-Expose-Headers"] = "Flowdock-User, Link"
            response["Vary"] = "Origin"
        return response
