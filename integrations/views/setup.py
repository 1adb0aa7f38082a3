"""Connecting an origin, from "Add" in a flow to the first event: choose, confirm, connect, finish at the service."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from integrations import ingest, services
from integrations.access import (
    flowdock_as,
    may_replace_secret,
    may_see_secret,
    open_flow,
    open_integration,
    signed_in,
    watch_integration,
)
from integrations.activity import Activity, Author, Status, Thread, escape, link
from integrations.connecting import AlreadyConnected, connect, connected
from integrations.error_page import HOME, NextStep, error_page
from integrations.flowdock.client import Flow
from integrations.flowdock.errors import FlowdockError, FlowdockUnavailable, SourceRejected
from integrations.forms import SetupForm
from integrations.models import Integration, Origin
from integrations.services.base import TEST, OfferedOrigin, Service

from . import error_pages
from .buttons import button

OWN_ORIGINS_SHOWN = 20
JUST_NOW = 60  # seconds; an integration this young was created by the first of two clicks


def setup(request: HttpRequest) -> HttpResponse:
    """The target of "Add" in Flowdock; `flow` is the flow's id. The choices are in the address, and POST connects."""
    person = signed_in(request)
    if not request.GET.get("flow"):
        return error_page(
            request,
            HTTPStatus.BAD_REQUEST,
            "No flow selected",
            "This address does not name a flow. Open the inbox settings of the flow and add Flowdock Bridge there, or"
            " choose the flow from your integrations.",
            HOME,
        )
    flow = open_flow(request, request.GET["flow"])
    form = SetupForm(request.GET, flow.organization)
    if request.method == "POST":
        return _connect(request, person, flow, form)
    if "confirm" in request.GET and form.is_valid():
        if existing := connected(form.chosen_service, form.name, flow):
            return _already_connected(request, flow, existing)
        return _confirm(request, flow, form)
    offered = _offered(flow, form.chosen_service)
    return render(
        request,
        "integrations/setup.html",
        {
            "flow": flow,
            "form": form,
            # No errors before the form was submitted.
            "errors": form.errors if "confirm" in request.GET else {},
            "is_untouched": not form.typed,
            "services": services.SERVICES.values(),
            "offered": offered,
            "own_origins": _own_origins(person, form) if offered is None else [],
            "page": "integrations",
        },
    )


def origin(request: HttpRequest) -> HttpResponse:
    """The hint below the origin while it is being typed."""
    signed_in(request)
    flow = open_flow(request, request.GET.get("flow", ""))
    form = SetupForm(request.GET, flow.organization)
    context: dict[str, object] = {"form": form, "flow": flow, "is_untouched": not form.typed}
    if form.typed and form.is_valid():
        context["existing"] = connected(form.chosen_service, form.name, flow)
    return render(request, "integrations/_origin_hint.html", context)


@dataclass(frozen=True, slots=True)
class Offer:
    """An origin of a service that lists its origins, and whether it is already connected to the flow."""

    origin: OfferedOrigin
    is_connected: bool


def _offered(flow: Flow, service: Service) -> list[Offer] | None:
    offered = service.offered(flow.organization)
    if offered is None:
        return None
    here = Integration.objects.connected().of_service(service.name).in_flow(flow.id)
    names = set(here.values_list("origin__name", flat=True))
    return [Offer(origin, origin.name in names) for origin in offered]


def _own_origins(person: User, form: SetupForm) -> list[Origin]:
    """The origins of the chosen service that the person has connected before, with their integrations."""
    return list(Origin.objects.connected_before_by(person, form.chosen_service.name)[:OWN_ORIGINS_SHOWN])


def _confirm(
    request: HttpRequest, flow: Flow, form: SetupForm, error: FlowdockError | None = None, status: int = 200
) -> HttpResponse:
    back = request.GET.copy()
    back.pop("confirm", None)
    return render(
        request,
        "integrations/setup_confirm.html",
        {"flow": flow, "form": form, "error": error, "back": back.urlencode(), "page": "integrations"},
        status=status,
    )


def _already_connected(request: HttpRequest, flow: Flow, existing: Integration) -> HttpResponse:
    return error_page(
        request,
        HTTPStatus.CONFLICT,
        f"{existing.name} is already connected to {flow.name}",
        "Connecting it again would post everything twice. Open the integration to see what it posts and to change its"
        " filters.",
        NextStep(f"Open {existing.name}", existing.get_absolute_url()),
        HOME,
    )


def _connect(request: HttpRequest, person: User, flow: Flow, form: SetupForm) -> HttpResponse:
    if not form.is_valid():
        return redirect(request.get_full_path())
    try:
        with flowdock_as(request) as flowdock:
            integration = connect(person, flowdock, flow, form.chosen_service, form.chosen, form.filters)
    except AlreadyConnected as error:
        age = (timezone.now() - error.integration.created_at).total_seconds()
        if error.integration.created_by_id == person.pk and age < JUST_NOW:
            return redirect("integrations:connected", error.integration.pk)
        return _already_connected(request, flow, error.integration)
    except SourceRejected as error:
        return _confirm(request, flow, form, error, HTTPStatus.UNPROCESSABLE_ENTITY)
    except FlowdockUnavailable as error:
        response = _confirm(request, flow, form, error, HTTPStatus.SERVICE_UNAVAILABLE)
        response["Retry-After"] = str(error_pages.retry_after(error))
        return response
    return redirect("integrations:connected", integration.pk)


@never_cache
def finish(request: HttpRequest, pk: int) -> HttpResponse:
    """The remaining steps at the service, and whether they are done. Never cached, because it may show the secret."""
    integration = open_integration(request, pk)
    origin = integration.origin
    service = origin.webhook_service
    return render(
        request,
        "integrations/connected.html",
        {
            "integration": integration,
            "service": origin.service_object,
            "steps": service.setup_steps(origin.external_url) if service else (),
            "secret": origin.secret if may_see_secret(signed_in(request), integration) else "",
            "knows_secret": origin.secret_replaced_by or origin.created_by,
            "may_replace_secret": may_replace_secret(signed_in(request), integration),
            "is_rotated": origin.is_rotating,
            "has_hook": origin.integrations.exclude(pk=pk).exclude(first_event_at=None).exists(),
            **_arrived(integration),
            "page": "integrations",
        },
    )


def arrival(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that waits for the first event: requested every two seconds until it has arrived."""
    integration = watch_integration(request, pk)
    return render(
        request,
        "integrations/_arrival.html",
        {
            "integration": integration,
            "service": integration.origin.service_object,
            **_arrived(integration),
        },
    )


def _arrived(integration: Integration) -> dict[str, Any]:
    """The first event from the service, or whether one has been accepted that no worker has decided yet."""
    first = integration.first_delivery_from_service()
    return {"first": first, "is_accepted": first is None and integration.awaits_first_event()}


@button
def send_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Post a test activity to the flow, in the same way as all others."""
    integration = open_integration(request, pk)
    person = signed_in(request)
    name = person.get_full_name() or person.get_username()
    activity = Activity(
        author=Author(name=name, email=person.email),
        title="sent a test activity",
        thread_id="flowdock-bridge:test",
        thread=Thread(
            title=f"Test of {escape(integration.name)}",
            external_url=request.build_absolute_uri(integration.get_absolute_url()),
            status=Status("works", "green"),
            body=f"<p>{link(integration.name, integration.origin.external_url)} is connected to this flow.</p>",
        ),
    )
    try:
        ingest.post(integration.origin, activity, integration=integration, kind=TEST)
    except ingest.NotConnected:
        messages.warning(request, f"{integration.name} is no longer connected, so no test activity was sent.")
        return redirect(integration)
    if integration.paused_at:
        messages.success(request, "The test activity is posted when you resume this integration.")
    else:
        messages.success(request, f"A test activity is on its way to {integration.flow_name}.")
    return redirect("integrations:connected", pk)
