"""`/`: what the bridge does, or the person's flows with all that reaches them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from integrations.access import list_flows
from integrations.flowdock.client import Flow
from integrations.flowdock.oauth import access_token
from integrations.history import History, histories
from integrations.models import Integration


@dataclass(frozen=True, slots=True)
class Row:
    integration: Integration
    history: History
    last_event_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class FlowCard:
    """`is_empty`: nothing is connected to the flow, as opposed to a search that finds nothing in it."""

    flow: Flow
    rows: list[Row]
    is_empty: bool


def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated or access_token(request.session) is None:
        return render(request, "integrations/landing.html")
    flows = sorted(list_flows(request), key=lambda flow: (flow.organization_name.casefold(), flow.name.casefold()))
    sought = request.GET.get("q", "").strip()
    rows = _rows(flows)
    attention = [row.integration for row in rows if row.integration.state == Integration.State.ATTENTION]
    cards = [_card(flow, [row for row in rows if row.integration.flow_id == flow.id], sought) for flow in flows]
    shown = [card for card in cards if not sought or card.rows or _matches(sought, card.flow.name)]
    return render(
        request,
        "integrations/home.html",
        {
            "cards": shown,
            "flows": len(flows),
            "sought": sought,
            "attention": attention,
            "flowdock_url": settings.FLOWDOCK_WEB_URL,
            "page": "integrations",
        },
    )


def _rows(flows: list[Flow]) -> list[Row]:
    """All integrations of the flows: the connected ones, and removed ones whose log is still stored."""
    found = Integration.objects.in_flows(flow.id for flow in flows).with_log().with_last_event_at()
    # The model's type does not have what is annotated.
    integrations: list[Any] = list(found.select_related("origin", "paused_by").order_by("name", "pk"))
    past = histories(integration.pk for integration in integrations)
    return [Row(integration, past[integration.pk], integration.last_event_at) for integration in integrations]


def _card(flow: Flow, rows: list[Row], sought: str) -> FlowCard:
    if sought and not _matches(sought, flow.name):
        found = [
            row for row in rows if _matches(sought, row.integration.name, row.integration.origin.service_object.title)
        ]
    else:
        found = rows
    return FlowCard(flow, found, is_empty=not rows)


def _matches(sought: str, *texts: str) -> bool:
    return any(sought.casefold() in text.casefold() for text in texts)
