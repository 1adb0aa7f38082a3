"""Middleware: answers probes, webhook requests without what pages need, and errors with error pages."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from social_core.exceptions import SocialAuthBaseException

from .access import AccessLost, FlowListNotAllowed, SignInNeeded
from .fields import UndecipherableSecret
from .flowdock.errors import FlowdockUnavailable, FlowNotAccessible, TokenRefused
from .views import error_pages, hooks, probes


class HookMiddleware:
    """Answers webhook requests itself, because none of the middleware after it, which is for pages, concerns them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.before, self.after = reverse("integrations:hook", args=["-"]).split("-")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not path.startswith(self.before) or not path.endswith(self.after):
            return self.get_response(request)
        request.get_host()  # raises DisallowedHost
        return hooks.receive(request, path[len(self.before) : -len(self.after)])


class ProbeMiddleware:
    """Answers load balancers and Prometheus before any other middleware.

    They use the process's address instead of its host name, and http although people use https.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = probes.VIEWS.get(request.path_info)
        return view(request) if view else self.get_response(request)


class FlowdockErrorMiddleware:
    """Turns errors between a person, Flowdock and the bridge into pages, whichever view raises them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        match exception:
            case SignInNeeded():
                return error_pages.sign_in(request, to_list_flows=exception.to_list_flows)
            case FlowListNotAllowed():
                return error_pages.flow_list_not_allowed(request)
            case TokenRefused():
                return error_pages.token_refused(request, exception)
            case FlowdockUnavailable():
                return error_pages.flowdock_unavailable(request, exception)
            case FlowNotAccessible():
                return error_pages.flow_not_accessible(request)
            case AccessLost():
                return error_pages.access_lost(request, exception)
            case UndecipherableSecret():
                return error_pages.key_missing(request)
            case SocialAuthBaseException():
                return error_pages.sign_in_failed(request, exception)
        return None
