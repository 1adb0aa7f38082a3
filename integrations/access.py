"""Who may see or change what: whoever can open the flow in Flowdock at this moment."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404, resolve_url
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from integrations.flowdock.client import Flow, Flowdock
from integrations.flowdock.errors import FlowdockUnavailable, FlowNotAccessible
from integrations.flowdock.oauth import access_token
from integrations.models import Integration, SignIn
from integrations.sessions import SIGN_IN_KEY

logger = logging.getLogger(__name__)

# Open pages ask for updates every few seconds. For these, an answer of Flowdock's is used again for this long.
LIVE_VERDICT_HOLDS = 30  # seconds
# While Flowdock does not answer, its last answer about a person's organizations is valid for this long.
LAST_ANSWER_COUNTS = dt.timedelta(hours=12)
# The key in `request.META` of the time of that answer, for the notice on the page.
LAST_ANSWER_AT = "flowdock_bridge.last_answer_at"


class SignInNeeded(Exception):
    """Nobody is signed in with Flowdock, or no longer. The middleware sends them to sign in and back.

    `to_list_flows`: the page also needs permission to list the person's flows.
    """

    def __init__(self, *, to_list_flows: bool = False) -> None:
        super().__init__("nobody is signed in with Flowdock")
        self.to_list_flows = to_list_flows


class FlowListNotAllowed(Exception):
    """The person is signed in but has not allowed the bridge to list their flows (Flowdock's scope `flow`)."""


@dataclass(frozen=True, slots=True, order=True)
class Organization:
    """A company or team in Flowdock. `key` is its `parameterized_name`, which is unique and never changes."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Membership:
    """The organizations of a person. If Flowdock does not answer now, `answered_at` is when it last did; else None."""

    organizations: tuple[Organization, ...]
    answered_at: dt.datetime | None = None


class AccessLost(Exception):
    """The person created this integration and can no longer open its flow."""

    def __init__(self, integration: Integration) -> None:
        super().__init__("the flow is closed to this person")
        self.integration = integration


def signed_in(request: HttpRequest) -> User:
    """The signed-in user. Raises SignInNeeded."""
    if not isinstance(request.user, User) or access_token(request.session) is None:
        raise SignInNeeded
    return request.user


@contextmanager
def flowdock_as(request: HttpRequest) -> Iterator[Flowdock]:
    """A client of Flowdock with the signed-in person's access token. Raises SignInNeeded."""
    signed_in(request)
    token = access_token(request.session)
    assert token is not None  # noqa: S101  signed_in has looked
    with Flowdock(token.token) as flowdock:
        yield flowdock


def list_flows(request: HttpRequest) -> list[Flow]:
    """The flows that the person is in. Raises SignInNeeded, FlowListNotAllowed and FlowdockUnavailable."""
    try:
        with flowdock_as(request) as flowdock:
            flows = flowdock.flows()
    except SignInNeeded:
        raise SignInNeeded(to_list_flows=True) from None
    except FlowNotAccessible as error:
        forget_organizations(request)
        raise FlowListNotAllowed from error
    found = _organizations_of(flows)
    cache.set(_verdict_key(request, "organizations"), Membership(found), LIVE_VERDICT_HOLDS)
    SignIn.objects.remember_organizations(
        request.session.get(SIGN_IN_KEY), [[each.key, each.name] for each in found], timezone.now()
    )
    return flows


def organizations(request: HttpRequest) -> tuple[Organization, ...]:
    """The organizations of the flows that the person is in, by name.

    While Flowdock does not answer, its last answer to this sign-in is used, for LAST_ANSWER_COUNTS. Any new answer
    replaces it at once. Raises what `list_flows` raises, but FlowdockUnavailable only if there is no such last answer.
    """
    try:
        return _organizations_of(list_flows(request))
    except FlowdockUnavailable as error:
        earliest = timezone.now() - LAST_ANSWER_COUNTS
        sign_in = SignIn.objects.with_organizations_since(request.session.get(SIGN_IN_KEY), earliest)
        if sign_in is None:
            raise
        logger.warning("Flowdock does not answer, its answer of %s counts: %s", sign_in.organizations_at, error)
    found = tuple(Organization(name, key) for key, name in sign_in.organizations)
    membership = Membership(found, sign_in.organizations_at)
    # So that open pages that ask for updates do not each wait for Flowdock's timeout during an outage.
    cache.set(_verdict_key(request, "organizations"), membership, LIVE_VERDICT_HOLDS)
    request.META[LAST_ANSWER_AT] = membership.answered_at
    return found


def recent_organizations(request: HttpRequest) -> tuple[Organization, ...]:
    """The same for the updates of an open page: Flowdock is asked twice a minute, not each time."""
    membership: Membership | None = cache.get(_verdict_key(request, "organizations"))
    if membership is None:
        return organizations(request)
    request.META[LAST_ANSWER_AT] = membership.answered_at
    return membership.organizations


def forget_organizations(request: HttpRequest) -> None:
    """Flowdock has refused to answer, so its last answer is no longer valid."""
    cache.delete(_verdict_key(request, "organizations"))
    SignIn.objects.forget_organizations(request.session.get(SIGN_IN_KEY))


def _organizations_of(flows: list[Flow]) -> tuple[Organization, ...]:
    names = {flow.organization: flow.organization_name for flow in flows if flow.organization}
    return tuple(sorted(Organization(name or key, key) for key, name in names.items()))


def open_flow(request: HttpRequest, flow_id: str) -> Flow:
    """The flow, as Flowdock shows it to the person. Raises SignInNeeded, FlowNotAccessible and FlowdockUnavailable."""
    with flowdock_as(request) as flowdock:
        return flowdock.find_flow(flow_id)


def open_integration(request: HttpRequest, pk: int) -> Integration:
    """The integration, if the person can open its flow now. For others the page does not exist (404).

    Also raises SignInNeeded, AccessLost and FlowdockUnavailable.
    """
    integration = _integration(request, pk)
    try:
        open_flow(request, integration.flow_id)
    except FlowNotAccessible as error:
        cache.delete(_verdict_key(request, integration.flow_id))
        if integration.created_by_id == request.user.pk:
            raise AccessLost(integration) from error
        raise Http404 from error
    cache.set(_verdict_key(request, integration.flow_id), True, LIVE_VERDICT_HOLDS)
    return integration


def can_open(request: HttpRequest, flow_id: str) -> bool:
    """Whether the person can open the flow, or could half a minute ago: for pages that mention other flows."""
    key = _verdict_key(request, flow_id)
    verdict: bool | None = cache.get(key)
    if verdict is None:
        try:
            open_flow(request, flow_id)
            verdict = True
        except FlowNotAccessible:
            verdict = False
        cache.set(key, verdict, LIVE_VERDICT_HOLDS)
    return verdict


def watch_integration(request: HttpRequest, pk: int) -> Integration:
    """The same for the updates of an open page: Flowdock is asked twice a minute, not each time."""
    integration = _integration(request, pk)
    if cache.get(_verdict_key(request, integration.flow_id)):
        return integration
    return open_integration(request, pk)


def _integration(request: HttpRequest, pk: int) -> Integration:
    signed_in(request)
    integration = get_object_or_404(Integration.objects.select_related("origin", "created_by", "paused_by"), pk=pk)
    if not integration.flow_id:
        # Made from a pasted token: its flow is known only once somebody opens it from there.
        raise Http404
    return integration


def may_replace_secret(person: User, integration: Integration) -> bool:
    """Whoever created the origin may; if it is connected to this flow only, so may anybody who can open the flow."""
    origin = integration.origin
    if origin.webhook_service is None:
        return False
    return origin.created_by_id == person.pk or not integration.siblings.exists()


def may_see_secret(person: User, integration: Integration) -> bool:
    """Whoever knows the current secret may, until the first event arrives and while a replaced secret is still valid.

    Nobody else: the secret is also valid for the other flows that the origin is connected to, and the members of this
    flow may not be able to open those.
    """
    origin = integration.origin
    if origin.webhook_service is None or integration.removed_at or origin.secret_known_by_id != person.pk:
        return False
    return integration.first_delivery_from_service() is None or origin.is_rotating


def _verdict_key(request: HttpRequest, asked: str) -> str:
    """The cache key of an answer of Flowdock's to this person with this token: another sign-in has its own."""
    token = access_token(request.session)
    who_and_what = f"{request.user.pk} {token.token if token else ''} {asked}"
    return f"flowdock-access-{hashlib.sha256(who_and_what.encode()).hexdigest()}"


def sign_in_url(back: str, *, to_list_flows: bool = False) -> str:
    query = {"next": back} | ({"flows": "1"} if to_list_flows else {})
    return f"{resolve_url(settings.LOGIN_URL)}?{urllib.parse.urlencode(query)}"


def return_url(request: HttpRequest) -> str:
    """Where to return after signing in: to this page or, from a part of a page or a button, to the page it is on."""
    if request.method in {"GET", "HEAD"} and not request.headers.get("HX-Request"):
        return request.get_full_path()
    seen = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    return local_path(request, seen) or "/"


def local_path(request: HttpRequest, url: str) -> str:
    """The path and query of `url` if it is an address of the bridge, else empty."""
    if not url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
        return ""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
