"""The filters of an integration, and the way to them from "Configure" in a flow."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from integrations.access import flowdock_as, open_integration, signed_in
from integrations.error_page import HOME, error_page
from integrations.flowdock.client import Flow, is_on_api
from integrations.forms import FiltersForm
from integrations.ids import parse_id
from integrations.models import Integration
from integrations.preview import preview_filters
from integrations.services.filters import clean

logger = logging.getLogger(__name__)


def configure(request: HttpRequest) -> HttpResponse:
    """The target of "Configure" in Flowdock, which names the source by `integration_id`, `source` or `source_url`."""
    signed_in(request)
    source_id = _source_id(request)
    if source_id is None:
        return error_page(
            request,
            HTTPStatus.BAD_REQUEST,
            "No integration selected",
            "This address does not name an integration. Select Configure next to it in the flow’s inbox settings, or"
            " choose it from your integrations.",
            HOME,
        )
    integration = Integration.objects.filter(flowdock_id=source_id).select_related("origin").first()
    flow_id = request.GET.get("flow", "")
    if integration is None or (integration.flow_id and flow_id not in {"", integration.flow_id}):
        raise Http404
    if not integration.flow_id and (refusal := _adopt(request, integration, flow_id)):
        return refusal
    # Raises 404 if the person cannot open the flow, so that they do not learn that the integration exists.
    return redirect("integrations:filters", open_integration(request, integration.pk).pk)


def _source_id(request: HttpRequest) -> int | None:
    url = request.GET.get("source_url", "")
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2] if is_on_api(url) else ""
    for text in (request.GET.get("integration_id", ""), request.GET.get("source", ""), last):
        if (source_id := parse_id(text)) is not None:
            return source_id
    return None


def _adopt(request: HttpRequest, integration: Integration, flow_id: str) -> HttpResponse | None:
    """Store the flow of an integration that was made from a pasted token; returns an error page if that is impossible.

    It is the flow that the source belongs to according to Flowdock, and only if the person can open it.
    """
    if integration.removed_at or not integration.has_token:
        raise Http404
    with flowdock_as(request) as flowdock:
        flow = flowdock.find_flow(flow_id)
        source = flowdock.source_of(integration.flow_token)
    if source.id != integration.flowdock_id or not _lies_in(source.url, flow):
        raise Http404
    integration.source_url = source.url[:500]
    integration.flow_id, integration.flow_name = flow.id, flow.name
    integration.flow_web_url = flow.web_url
    integration.organization, integration.organization_name = flow.organization, flow.organization_name
    fields = ["source_url", "flow_id", "flow_name", "flow_web_url", "organization", "organization_name"]
    try:
        with transaction.atomic():
            integration.save(update_fields=fields)
    except IntegrityError:
        return error_page(
            request,
            HTTPStatus.CONFLICT,
            f"{integration.name} is connected to {flow.name} twice",
            "It was connected a second time with a flow token, so everything is posted twice. Remove one of the two"
            " integrations in the flow’s inbox settings.",
            HOME,
        )
    logger.info("integration %s: its flow is %s", integration.pk, flow.id)
    return None


def _lies_in(source_url: str, flow: Flow) -> bool:
    return source_url.startswith((f"{flow.url.rstrip('/')}/", f"{flow.sources_url.rstrip('/')}/"))


def filters(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of filters. Nothing changes until they are saved; a preset in the address is shown and not saved."""
    integration = open_integration(request, pk)
    service = integration.origin.service_object
    form = FiltersForm(service.rules, integration.filters)
    preset = next((preset for preset in service.presets if preset.name == request.GET.get("preset")), None)
    if request.method == "POST" and integration.removed_at is None:
        chosen = form.read(request.POST)
        if not form.errors:
            integration.filters = chosen
            integration.save(update_fields=["filters"])
            messages.success(
                request, f"Filters saved. New events that pass them are posted to {integration.flow_name}."
            )
            return redirect("integrations:filters", pk)
        form.filters = chosen
    elif preset:
        form.filters = clean(service.rules, preset.filters)
    return render(
        request,
        "integrations/filters.html",
        {
            "integration": integration,
            "service": service,
            "form": form,
            "preset": preset,
            "is_changed": form.filters != integration.filters,
            "page": "integrations",
        }
        | _previews(integration, form.filters),
        status=HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK,
    )


def _previews(integration: Integration, filters: Mapping[str, Any]) -> dict[str, object]:
    """What the shown filters and the saved filters would make of the latest events."""
    shown = preview_filters(integration.origin, filters)
    saved = shown if filters == integration.filters else preview_filters(integration.origin, integration.filters)
    return {"preview": shown, "saved": saved}
