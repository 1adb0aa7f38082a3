"""What a person reads when something is not as they expected: what happened, what it means, the one thing to do."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django_htmx.http import HttpResponseClientRedirect
from social_core.exceptions import (
    AuthCanceled,
    AuthConfigurationError,
    AuthCredentialError,
    AuthInputError,
    AuthSessionError,
    SocialAuthBaseException,
)

from integrations.fields import UndecipherableSecret
from integrations.flowdock.errors import FlowdockUnavailable, FlowNotAccessible, TokenRefused
from integrations.flowdock.oauth import access_token, forget_access_token

from .access import AccessLost, FlowListNotAllowed, SignInNeeded, forget_organizations, local, sign_in_url, way_back

logger = logging.getLogger(__name__)

# Flowdock refuses a token that it gave this short a while ago: signing in again would only go round in circles.
TOO_FRESH_TO_BE_REFUSED = 20  # seconds


@dataclass(frozen=True, slots=True)
class Way:
    """A link out of an error page."""

    title: str
    url: str


HOME = Way("Go to your integrations", "/")


class FlowdockErrors:
    """Turns what goes wrong between a person, Flowdock and us into pages, whichever view it goes wrong in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        match exception:
            case SignInNeeded():
                return sign_in(request, to_list_flows=exception.to_list_flows)
            case FlowListNotAllowed():
                return flow_list_not_allowed(request)
            case TokenRefused():
                return token_refused(request, exception)
            case FlowdockUnavailable():
                return away(request, exception)
            case FlowNotAccessible():
                return closed_flow(request)
            case AccessLost():
                return access_lost(request, exception)
            case UndecipherableSecret():
                return key_missing(request)
            case SocialAuthBaseException():
                return sign_in_failed(request, exception)
        return None


def page(
    request: HttpRequest,
    status: HTTPStatus,
    title: str,
    words: str,
    *ways: Way,
    hint: str = "",
    shores: tuple[str, str] | None = None,
) -> HttpResponse:
    """An error page. `shores` are the two ends that a broken span is drawn between, where that is what happened."""
    response = render(
        request,
        "integrations/error.html",
        {"title": title, "words": words, "ways": ways, "hint": hint, "shores": shores, "status": status},
        status=status,
    )
    add_never_cache_headers(response)
    return response


# Between a person and Flowdock


def sign_in(request: HttpRequest, *, to_list_flows: bool = False) -> HttpResponse:
    url = sign_in_url(way_back(request), to_list_flows=to_list_flows)
    # A part of a page cannot follow to another site: the whole page goes.
    return HttpResponseClientRedirect(url) if request.headers.get("HX-Request") else redirect(url)


def token_refused(request: HttpRequest, error: TokenRefused) -> HttpResponse:
    forget_organizations(request)
    token = access_token(request.session)
    if token and time.time() - token.issued_at < TOO_FRESH_TO_BE_REFUSED:
        logger.error("Flowdock refuses the access token that it has just given: %s", error)
        return away(request, FlowdockUnavailable(str(error)))
    forget_access_token(request.session)
    return sign_in(request)


def flow_list_not_allowed(request: HttpRequest) -> HttpResponse:
    """This page shows what belongs to the person's flows, and what they have allowed so far is less than that."""
    return page(
        request,
        HTTPStatus.FORBIDDEN,
        "This page needs one more permission",
        "It shows what belongs to your flows, and you have not allowed Flowdock Bridge to list them. To connect and"
        " configure integrations it needs no more than you have allowed already.",
        Way("Continue to Flowdock", sign_in_url(way_back(request), to_list_flows=True)),
        hint="Flowdock asks you once more, and then this page opens.",
    )


def away(request: HttpRequest, error: FlowdockUnavailable, again: str = "") -> HttpResponse:
    """Flowdock gives no sensible answer. "Try again" asks for the same page, never repeating what changes something."""
    logger.warning("Flowdock is away: %s", error)
    response = page(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Flowdock does not answer",
        "We asked it just now and got no sensible answer, so this page cannot be shown. Nothing was changed, and events"
        " that arrive meanwhile are kept and posted when it is back.",
        Way("Try again", again or way_back(request)),
        HOME,
        hint=str(error),
        shores=("You", "Flowdock"),
    )
    response["Retry-After"] = str(retry_after(error))
    return response


def retry_after(error: FlowdockUnavailable) -> int:
    return math.ceil(error.retry_after or 10)


def key_missing(request: HttpRequest) -> HttpResponse:
    logger.error("%s: a stored secret cannot be decrypted: FIELD_KEYS lacks its key", request.path)
    return page(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "A secret of this integration cannot be read",
        "The key that it was encrypted with is missing from the configuration of this bridge. Ask its administrator to"
        " add that key to FIELD_KEYS again. Nothing was changed.",
        HOME,
    )


def closed_flow(request: HttpRequest) -> HttpResponse:
    return page(
        request,
        HTTPStatus.NOT_FOUND,
        "You cannot open this flow",
        "Flowdock says that there is no such flow, or that you are not in it. Nothing was created.",
        HOME,
        Way("Sign in as somebody else", sign_in_url(way_back(request))),
        hint="Did you expect to be in it? Ask somebody in the flow to add you, then come back to this page.",
        shores=("You", "The flow"),
    )


def access_lost(request: HttpRequest, error: AccessLost) -> HttpResponse:
    flow = error.integration.flow_name or "this flow"
    organization = error.integration.organization_name or "its organization"
    return page(
        request,
        HTTPStatus.FORBIDDEN,
        f"You can no longer open {flow}",
        "Flowdock says that you are not in this flow any more, so its integrations are closed to you as well. They go"
        " on working for those who are in it.",
        HOME,
        Way("Sign in as somebody else", sign_in_url(way_back(request))),
        hint=f"Did you expect to be in it? Ask somebody at {organization} to add you to {flow}, then reload.",
        shores=("You", flow),
    )


def sign_in_failed(request: HttpRequest, error: SocialAuthBaseException) -> HttpResponse:
    """The way through Flowdock's consent page did not end here as it should."""
    logger.info("signing in with Flowdock failed: code=%s stage=%s", error.code, error.stage)
    on_the_way_to = getattr(error.backend, "was_on_the_way_to", str)()
    again = Way("Sign in with Flowdock", sign_in_url(local(request, on_the_way_to) or "/"))
    match error:
        case AuthCanceled():
            return page(
                request,
                HTTPStatus.FORBIDDEN,
                "You did not allow it",
                "Flowdock Bridge asked Flowdock for your flows and you said no. Nothing was connected and nothing was"
                " kept.",
                again,
                Way("Back to the start", "/"),
                hint="To connect an integration, it has to see your flows and add its own sources to them.",
                shores=("You", "Flowdock"),
            )
        case AuthInputError() | AuthSessionError() | AuthCredentialError():
            return page(
                request,
                HTTPStatus.FORBIDDEN,
                "This sign-in has expired",
                "It took more than a few minutes, was used before, or did not begin in this browser. To be safe, it"
                " does not count.",
                again,
                shores=("You", "Flowdock"),
            )
        case AuthConfigurationError():
            logger.error("Flowdock does not accept this bridge: %s", error.provider_code or error.code)
            return page(
                request,
                HTTPStatus.BAD_GATEWAY,
                "Flowdock does not know this bridge",
                "It refused the name and secret that this bridge is registered with, so nobody can sign in at present."
                " Whoever runs this bridge has to correct them.",
                Way("Back to the start", "/"),
                shores=("Flowdock Bridge", "Flowdock"),
            )
    logger.error("signing in with Flowdock failed: code=%s provider=%s", error.code, error.provider_code)
    return page(
        request,
        HTTPStatus.BAD_GATEWAY,
        "Signing in did not work",
        "Flowdock answered in a way that we did not expect. Nothing was changed.",
        again,
        shores=("You", "Flowdock"),
    )


# Between a person and us; the names are those that Django's settings and urls give


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return page(
            request,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "That is too much at once",
            "What was sent is larger than this page takes. Nothing was changed.",
            HOME,
        )
    return page(
        request,
        HTTPStatus.BAD_REQUEST,
        "This request cannot be read",
        "Something in it is missing or garbled. Nothing was changed.",
        HOME,
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return page(
        request,
        HTTPStatus.FORBIDDEN,
        "You do not have access to this",
        "Your account may not do it, and nothing was changed. Sign in with another account if you have one that may.",
        HOME,
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return page(
        request,
        HTTPStatus.FORBIDDEN,
        "This form has expired",
        "It was opened in another browser or before you last signed in, so to be safe it does not count. Nothing was"
        " changed.",
        Way("Open it again", way_back(request)),
        hint="If this happens every time, this browser refuses our cookies.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return page(
        request,
        HTTPStatus.NOT_FOUND,
        "There is no such page",
        "The address is not right, or what it named is gone or not yours to see.",
        HOME,
        hint="A new link from whoever gave you this one may help.",
    )


def wrong_method(request: HttpRequest, *allowed: str) -> HttpResponse:
    response = page(
        request,
        HTTPStatus.METHOD_NOT_ALLOWED,
        "This page only accepts form submissions",
        "Its address belongs to a button and cannot be opened by itself. Nothing was changed.",
        HOME,
    )
    response["Allow"] = ", ".join(allowed)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    return page(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something broke on our side",
        "It has been noted, with what is needed to mend it. Events that arrive meanwhile are kept.",
        Way("Try again", way_back(request)),
        HOME,
    )
