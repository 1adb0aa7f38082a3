"""Signing in with Flowdock, signing out, and the account page."""

from __future__ import annotations

import logging
import urllib.parse

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from social_core.actions import do_auth
from social_django.utils import load_backend, load_strategy
from social_django.views import complete

from integrations.access import FlowListNotAllowed, flowdock_as, list_flows, sign_in_url, signed_in
from integrations.flowdock.client import Flowdock, Person
from integrations.flowdock.errors import FlowdockError, FlowdockUnavailable
from integrations.flowdock.oauth import FlowdockOAuth2, access_token

from . import error_pages
from .buttons import button

logger = logging.getLogger(__name__)

REVOCATION_TIMEOUT = 3.0  # seconds that signing out waits for Flowdock


@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """Redirect to Flowdock's consent page. The person returns to `next`, unless it is on another host.

    With `flows`, it also asks for permission to list the person's flows.

    Unlike social-auth's own view it accepts GET, because pages that Flowdock links to redirect here.
    """
    home = urllib.parse.urlsplit(settings.BRIDGE_URL)
    if request.get_host() != home.netloc:
        # Flowdock redirects to BRIDGE_URL, where the session cookie of another host name would be missing.
        return redirect(f"{settings.BRIDGE_URL}{request.get_full_path()}")
    strategy = load_strategy(request)
    strategy.session_set("next", settings.LOGIN_REDIRECT_URL)
    backend = load_backend(strategy, FlowdockOAuth2.name, reverse("social:complete", args=[FlowdockOAuth2.name]))
    response: HttpResponse = do_auth(backend)
    return response


def come_back(request: HttpRequest) -> HttpResponse:
    """The redirect back from Flowdock signs in the person of Flowdock, whoever was signed in: accounts never merge."""
    request.user = AnonymousUser()
    try:
        response: HttpResponse = complete(request, FlowdockOAuth2.name)
    except FlowdockUnavailable as error:
        # The code and the state have been used, so trying again means signing in again.
        return error_pages.flowdock_unavailable(request, error, again=sign_in_url(request.session.get("next") or "/"))
    return response


@button
def sign_out(request: HttpRequest) -> HttpResponse:
    _sign_out(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@button
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all of the person's sessions on this bridge, in every browser."""
    if isinstance(request.user, User):
        request.user.sign_ins.all().delete()
    _sign_out(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


def _sign_out(request: HttpRequest) -> None:
    """End this session, then revoke its access token; signing out succeeds even if Flowdock does not answer."""
    token = access_token(request.session)
    logout(request)
    if token is None:
        return
    try:
        with Flowdock(timeout=REVOCATION_TIMEOUT) as flowdock:
            flowdock.revoke(token.token)
    except FlowdockError as error:
        logger.info("an access token was not revoked, it ends by itself: %s", error)


def account(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    with flowdock_as(request) as flowdock:
        person: Person = flowdock.user()
    try:
        flows: int | None = len(list_flows(request))
    except FlowListNotAllowed:
        flows = None
    return render(
        request,
        "integrations/account.html",
        {
            "person": person,
            "flows": flows,
            "since": user.date_joined,
            "flowdock_url": settings.FLOWDOCK_WEB_URL,
            "page": "account",
        },
    )
