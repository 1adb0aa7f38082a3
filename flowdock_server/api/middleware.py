"""What applies to every API call, before a view is found and after it has answered."""

import re
from collections.abc import Callable
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from flowdock_server.parsing import params
from flowdock_server.people import rate_limits

from .errors import failure, too_many_requests

_ROOTS = "activities|comments|files|flows|messages|oauth/applications|openapi|organizations|private|sources|users?"
_CALL = re.compile(rf"\A/(?:{_ROOTS})(?:/.*)?\Z", re.DOTALL)
# flowdock_server.oauth answers these in their own formats, errors too.
_KEYS = ("/oauth/token", "/oauth/revoke")
_CONSENT = "/oauth/authorize"
# What people open in a browser. A 404 at any other path answers a program, unless the request accepts HTML.
_PAGES = re.compile(r"\A/(?:app|account|invitations|join|login|oauth|static)?(?:/.*)?\Z", re.DOTALL)

_SLASHES = re.compile("//+")

_ALLOW_METHODS = "POST, PUT, PATCH, DELETE, GET, OPTIONS"
_ALLOW_HEADERS = (
    "Origin, Accept, Content-type, Authorization, X-CSRF-Token, X-Requested-With, X-Prototype-Version, "
    "X-flowdock-wait-for-message"
)


class ApiMiddleware:
    """The three spellings of paths, CORS, the header `Flowdock-User`, and all errors in Flowdock's format."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.path_info = _canonical_path(request.path_info)
        if _CALL.match(request.path_info):
            is_head = request.method == "HEAD"
            if is_head:
                request.method = "GET"
            response = self._answer(request)
            if not response.streaming and not response.content:  # type: ignore[attr-defined]
                del response["Content-Type"]  # some clients would parse the empty body as JSON, and fail
            if is_head:
                request.method = "HEAD"  # the server then leaves the body out
            return add_cors_headers(request, response)
        if request.path_info in _KEYS:
            preflight = request.method == "OPTIONS"
            return add_cors_headers(request, HttpResponse() if preflight else self.get_response(request))
        response = self.get_response(request)
        if response.status_code == 404 and _by_program(request):
            return add_cors_headers(request, failure(404))
        return response

    def _with_rate_limit(self, request: HttpRequest) -> HttpResponseBase:
        counted = rate_limits.Counted(_key(request), rate_limits.client_address(request))
        if wait := counted.seconds_to_wait():
            return too_many_requests(f"Too many requests. Try again in {wait} seconds.", wait)
        response = self._without_rate_limit(request)
        counted.answered(getattr(request, "verified_caller", None))
        return response

    def _without_rate_limit(self, request: HttpRequest) -> HttpResponseBase:
        _move_filters_to_query(request)
        return self.get_response(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if request.method == "OPTIONS":
            return HttpResponse()
        # PostgreSQL raises an error for NUL.
        response: HttpResponseBase
        if "\0" in request.path_info:
            response = failure(404)
        elif "%00" in request.META.get("QUERY_STRING", ""):
            response = failure(400, "A parameter contains a character that cannot be stored: NUL")
        elif settings.RATE_LIMIT:
            response = self._with_rate_limit(request)
        else:
            response = self._without_rate_limit(request)
        if response.status_code >= 400 and not response.get("Content-Type", "").startswith("application/json"):
            allow = response.get("Allow")
            response = failure(response.status_code)
            if allow:
                response["Allow"] = f"{allow}, HEAD" if "GET" in allow else allow
        if response.get("Content-Type") == "application/json":
            response["Content-Type"] = "application/json; charset=utf-8"
        if (user := getattr(getattr(request, "auth", None), "user", None)) is not None:
            response["Flowdock-User"] = str(user.pk)
        return response


def too_large(request: HttpRequest) -> HttpResponseBase:
    """413, and close the connection: the rest of the body may still be arriving and will not be read."""
    response = failure(413)
    response["Connection"] = "close"
    is_call = _CALL.match(_canonical_path(request.path_info))
    return add_cors_headers(request, response) if is_call else response


def _canonical_path(path: str) -> str:
    """The canonical path: /v1/flows.json, /v1/flows/ and //flows become /flows.

    aioflowdock and flowdock-api-wrapper join a base URL that ends with a slash and a path that begins with one.
    """
    plain = _SLASHES.sub("/", path)
    plain = plain.removeprefix("/v1") if plain.startswith("/v1/") else plain
    if plain.startswith("/files/"):
        return plain  # its ending is the file's name
    shorter = plain.rstrip("/").removesuffix(".json").rstrip("/")
    return shorter if _CALL.match(shorter) or shorter in (*_KEYS, _CONSENT) else path


def _move_filters_to_query(request: HttpRequest) -> None:
    """Put the conditions of a list into the query in their documented form, where a list is separated by commas.

    flowdock-api-wrapper sends them in a JSON body, and many libraries write a list as tags[]=a&tags[]=b.
    """
    has_brackets = "[" in unquote(request.META.get("QUERY_STRING", ""))
    if request.method != "GET" or not (has_brackets or request.content_type == "application/json"):
        return
    try:
        given = params.of(request)
    except (params.Unreadable, params.Unsupported, params.TooLarge):
        return  # the view parses the parameters again and answers the error
    query = request.GET.copy()
    for name, value in given.items():
        if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
            value = ",".join(str(each) for each in value)
        if name not in query and isinstance(value, str | int | float):
            query[name] = str(value).lower() if isinstance(value, bool) else str(value)
    request.GET = query  # type: ignore[assignment]


def _key(request: HttpRequest) -> str:
    """The key that was sent, whether valid or not; empty if there is none."""
    if header := request.headers.get("Authorization"):
        return header
    try:
        parameters = params.of(request)
    except (params.Unreadable, params.Unsupported, params.TooLarge):
        parameters = {}
    keys = (parameters.get(name) for name in ("flow_token", "access_token", "token"))
    return str(next(filter(None, keys), ""))


def _by_program(request: HttpRequest) -> bool:
    """Whether a program sent the request, which has no use for an HTML page that says "not found"."""
    is_page = _PAGES.match(request.path_info) or "text/html" in request.headers.get("Accept", "")
    return request.path_info.startswith("/v1/") or not is_page


def add_cors_headers(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Add the CORS headers. They do not allow cookies: a page on another site has to send a key."""
    if origin := request.headers.get("Origin"):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Methods"] = _ALLOW_METHODS
        response["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
        response["Access-Control-Expose-Headers"] = "Flowdock-User, Link, Retry-After"
        patch_vary_headers(response, ["Origin"])
    return response
