"""What is true of every call, before a view is found and after it has answered."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from .errors import failure

# The rest of the host belongs to pages.
_CALL = re.compile(
    r"\A(?:/v1)?(/(?:activities|comments|flows|messages|oauth/applications|openapi|organizations|private|sources|users?)(?:/.*)?)\Z",
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
        if call := _CALL.match(request.path_info.removesuffix(".json")):
            request.path_info = call[1].rstrip("/")
            return _open_to_other_sites(request, self._answer(request))
        if request.path_info == "/oauth/token":
            preflight = request.method == "OPTIONS"
            return _open_to_other_sites(request, HttpResponse() if preflight else self.get_response(request))
        return self.get_response(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if request.method == "OPTIONS":
            return HttpResponse()
        # PostgreSQL raises on the character that no text can hold.
        response: HttpResponseBase
        if "\0" in request.path_info:
            response = failure(404)
        elif "%00" in request.META.get("QUERY_STRING", ""):
            response = failure(400, "A text has a character that cannot be stored")
        else:
            response = self.get_response(request)
        if response.status_code >= 400 and response.get("Content-Type") != "application/json":
            allow = response.get("Allow")
            response = failure(response.status_code)
            if allow:
                response["Allow"] = allow
        if response.get("Content-Type") == "application/json":
            response["Content-Type"] = "application/json; charset=utf-8"
        if (user := getattr(getattr(request, "auth", None), "user", None)) is not None:
            response["Flowdock-User"] = str(user.pk)
        return response


def _open_to_other_sites(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """CORS, without cookies: a caller's page has to bring a key of its own."""
    if origin := request.headers.get("Origin"):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Methods"] = _ALLOW_METHODS
        response["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
        response["Access-Control-Expose-Headers"] = "Flowdock-User, Link"
        patch_vary_headers(response, ["Origin"])
    return response
