"""The error pages: what happened, what it means, and what to do next."""

from __future__ import annotations

import logging
import math
import time
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django_htmx.http import HttpResponseClientRedirect
from social_core.exceptions import (
    AuthCanceled,
    AuthConfigurationError,
    AuthCredentialError,
    AuthInputError,
    AuthSessionError,
    SocialAuthBaseException,
)

from integrations.access import AccessLost, forget_organizations, local_path, return_url, sign_in_url
from integrations.error_page import HOME, NextStep, error_page
from integrations.flowdock.errors import FlowdockUnavailable, TokenRefused
from integrations.flowdock.oauth import access_token, forget_access_token

logger = logging.getLogger(__name__)

# If Flowdock refuses a token that it issued less than this ago, signing in again would only repeat that.
TOO_FRESH_TO_BE_REFUSED = 20  # seconds


# Between a person and Flowdock


def sign_in(request: HttpRequest, *, to_list_flows: bool = False) -> HttpResponse:
    url = sign_in_url(return_url(request), to_list_flows=to_list_flows)
    # htmx cannot follow a redirect to another site for a part of a page, so the whole page is redirected.
    return HttpResponseClientRedirect(url) if request.headers.get("HX-Request") else redirect(url)


def token_refused(request: HttpRequest, error: TokenRefused) -> HttpResponse:
    forget_organizations(request)
    token = access_token(request.session)
    if token and time.time() - token.issued_at < TOO_FRESH_TO_BE_REFUSED:
        logger.error("Flowdock refuses the access token that it has just given: %s", error)
        return flowdock_unavailable(request, FlowdockUnavailable(str(error)))
    forget_access_token(request.session)
    return sign_in(request)


def flow_list_not_allowed(request: HttpRequest) -> HttpResponse:
    """This page shows what belongs to the person's flows, and what they have allowed so far is less than that."""
    return error_page(
        request,
        HTTPStatus.FORBIDDEN,
        "This page needs one more permission",
        "It uses the list of your flows, and you have not allowed Flowdock Bridge to read it. You can connect and"
        " configure integrations without this permission.",
        NextStep("Continue to Flowdock", sign_in_url(return_url(request), to_list_flows=True)),
        hint="Flowdock asks for your permission, then brings you back to this page.",
    )


def flowdock_unavailable(request: HttpRequest, error: FlowdockUnavailable, again: str = "") -> HttpResponse:
    """Flowdock gives no sensible answer. "Try again" asks for the same page, never repeating what changes something."""
    logger.warning("Flowdock is not responding: %s", error)
    response = error_page(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Flowdock is not responding",
        "This page cannot be shown without it. Nothing was changed. Events that arrive in the meantime are kept and"
        " posted when Flowdock responds again.",
        NextStep("Try again", again or return_url(request)),
        HOME,
        hint=str(error),
        disconnected=("You", "Flowdock"),
    )
    response["Retry-After"] = str(retry_after(error))
    return response


def retry_after(error: FlowdockUnavailable) -> int:
    return math.ceil(error.retry_after or 10)


def key_missing(request: HttpRequest) -> HttpResponse:
    logger.error("%s: a stored secret cannot be decrypted: FIELD_KEYS lacks its key", request.path)
    return error_page(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "This integration’s secret cannot be decrypted",
        "The key that encrypted it is missing from the configuration of Flowdock Bridge. Nothing was changed. Ask the"
        " administrator to add that key to FIELD_KEYS again.",
        HOME,
    )


def flow_not_accessible(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        HTTPStatus.NOT_FOUND,
        "You do not have access to this flow",
        "The flow does not exist in Flowdock, or you are not a member of it. Nothing was created.",
        HOME,
        NextStep("Sign in with another account", sign_in_url(return_url(request))),
        hint="If you should have access, ask a member of the flow to add you, then reload this page.",
        disconnected=("You", "The flow"),
    )


def access_lost(request: HttpRequest, error: AccessLost) -> HttpResponse:
    flow = error.integration.flow_name or "this flow"
    organization = error.integration.organization_name or "its organization"
    return error_page(
        request,
        HTTPStatus.FORBIDDEN,
        f"You no longer have access to {flow}",
        "You are no longer a member of this flow in Flowdock, so you cannot see or change its integrations. They keep"
        " working for its members.",
        HOME,
        NextStep("Sign in with another account", sign_in_url(return_url(request))),
        hint=f"If you should have access, ask someone in {organization} to add you to {flow}, then reload this page.",
        disconnected=("You", flow),
    )


def sign_in_failed(request: HttpRequest, error: SocialAuthBaseException) -> HttpResponse:
    """Signing in with Flowdock has failed: denied, expired, misconfigured or unexpected."""
    logger.info("signing in with Flowdock failed: code=%s stage=%s", error.code, error.stage)
    requested_page = getattr(error.backend, "requested_page", str)()
    again = NextStep("Sign in with Flowdock", sign_in_url(local_path(request, requested_page) or "/"))
    match error:
        case AuthCanceled():
            return error_page(
                request,
                HTTPStatus.FORBIDDEN,
                "Access was not granted",
                "Flowdock Bridge asked for access to your Flowdock account, and you declined. Nothing was connected or"
                " stored.",
                again,
                NextStep("Go to the start page", "/"),
                hint="To connect an integration, Flowdock Bridge must be able to add sources to your flows.",
                disconnected=("You", "Flowdock"),
            )
        case AuthInputError() | AuthSessionError() | AuthCredentialError():
            return error_page(
                request,
                HTTPStatus.FORBIDDEN,
                "Your sign-in expired",
                "It took too long, was already used, or was started in another browser. Start again.",
                again,
                disconnected=("You", "Flowdock"),
            )
        case AuthConfigurationError():
            logger.error("Flowdock does not accept this bridge: %s", error.provider_code or error.code)
            return error_page(
                request,
                HTTPStatus.BAD_GATEWAY,
                "Flowdock rejects this bridge",
                "Flowdock did not accept the client ID and secret of Flowdock Bridge, so nobody can sign in. Ask the"
                " administrator to check FLOWDOCK_CLIENT_ID and FLOWDOCK_CLIENT_SECRET.",
                NextStep("Go to the start page", "/"),
                disconnected=("Flowdock Bridge", "Flowdock"),
            )
    logger.error("signing in with Flowdock failed: code=%s provider=%s", error.code, error.provider_code)
    return error_page(
        request,
        HTTPStatus.BAD_GATEWAY,
        "Sign-in failed",
        "Flowdock sent an unexpected answer. Nothing was changed. Try again; if it fails again, tell the administrator"
        " of Flowdock Bridge.",
        again,
        disconnected=("You", "Flowdock"),
    )


# Django's own errors: its settings and the URL configuration name these views


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_page(
            request,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "This form is too large",
            f"This page accepts up to {filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)}. Nothing was changed. Send"
            " less at a time.",
            HOME,
        )
    return error_page(
        request,
        HTTPStatus.BAD_REQUEST,
        "This request is invalid",
        "Part of it is missing or malformed. Nothing was changed. Go back and try again.",
        HOME,
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        HTTPStatus.FORBIDDEN,
        "You do not have access to this page",
        "Your account does not have permission. Nothing was changed. Sign in with another account that does.",
        HOME,
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_page(
        request,
        HTTPStatus.FORBIDDEN,
        "This form has expired",
        "It was opened in another browser, or before you last signed in. Nothing was changed. Open the form again and"
        " resubmit it.",
        NextStep("Open the form again", return_url(request)),
        hint="If this keeps happening, allow cookies for this site in your browser.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        HTTPStatus.NOT_FOUND,
        "Page not found",
        "The address is wrong, the page was removed, or you do not have access to it.",
        HOME,
        hint="If someone sent you this link, ask them for a new one.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong",
        "The error is on our side and has been logged. Events that arrive in the meantime are kept. Try again; if it"
        " happens again, tell the administrator of Flowdock Bridge.",
        NextStep("Try again", return_url(request)),
        HOME,
    )
