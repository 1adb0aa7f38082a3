"""Signing in with Flowdock, coming back from there, signing out, and who one is."""

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

REVOCATION_TIMEOUT = 3.0  # seconds; signing out waits no longer for Flowdock


@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """To Flowdock's consent page. `next` is where the person comes back to; addresses of other hosts are not kept.

    With `flows`, the permission to list the person's flows is asked for as well.

    Begun by a GET, unlike social-auth's own view: Flowdock's "Add" and "Configure" links lead here by way of a page.
    """
    home = urllib.parse.urlsplit(settings.BRIDGE_URL)
    if request.get_host() != home.netloc:
        # Flowdock sends people back to BRIDGE_URL, and the session that began here under another name is not there.
        return redirect(f"{settings.BRIDGE_URL}{request.get_full_path()}")
    strategy = load_strategy(request)
    strategy.session_set("next", settings.LOGIN_REDIRECT_URL)
    backend = load_backend(strategy, FlowdockOAuth2.name, reverse("social:complete", args=[FlowdockOAuth2.name]))
    response: HttpResponse = do_auth(backend)
    return response


def come_back(request: HttpRequest) -> HttpResponse:
    """Flowdock's answer. Who signs in there is who they are here, whoever was signed in before: accounts never join."""
    request.user = AnonymousUser()
    try:
        response: HttpResponse = complete(request, FlowdockOAuth2.name)
    except FlowdockUnavailable as error:
        # The code is spent and the state with it: trying again means beginning again.
        return error_pages.flowdock_unavailable(request, error, again=sign_in_url(request.session.get("next") or "/"))
    return response


@button
def sign_out(request: HttpRequest) -> HttpResponse:
    _sign_out(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@button
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End every session of the person on this bridge, in all browsers."""
    if isinstance(request.user, User):
        request.user.sign_ins.all().delete()
    _sign_out(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


def _sign_out(request: HttpRequest) -> None:
    """End this session, then give its access token back to Flowdock, which need not answer."""
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
