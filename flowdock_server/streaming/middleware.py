"""The streaming API's own host or port."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

_USUAL_PORTS = {"http": ":80", "https": ":443"}


class StreamingMiddleware:
    """Replaces the REST API's /flows by the streaming API for requests to its host or its port."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if _is_for_streams(request):
            request.urlconf = "flowdock_server.streaming.urls"
        return self.get_response(request)


def _is_for_streams(request: HttpRequest) -> bool:
    streams, rest = urlsplit(settings.STREAM_URL), urlsplit(settings.SERVER_URL)
    if streams.netloc != rest.netloc:
        host = request.META.get("HTTP_HOST", "").lower().removesuffix(_USUAL_PORTS.get(streams.scheme, ":80"))
        if host == streams.netloc.lower().removesuffix(_USUAL_PORTS.get(streams.scheme, ":80")):
            return True
    # Under another host name, as on a local network: by the port of the connection.
    return rest.port != settings.STREAM_PORT and request.META.get("SERVER_PORT") == str(settings.STREAM_PORT)
