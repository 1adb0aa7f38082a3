"""The buttons on an integration's page."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from integrations.access import flowdock_as, may_replace_secret, open_integration, signed_in
from integrations.flowdock.errors import FlowNotAccessible, SourceGone
from integrations.models import Integration

from .buttons import button

logger = logging.getLogger(__name__)


def _open_connected(request: HttpRequest, pk: int) -> Integration:
    """The integration, if it is still connected; else 404."""
    integration = open_integration(request, pk)
    if integration.removed_at or not integration.has_token:
        raise Http404
    return integration


@button
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    integration = _open_connected(request, pk)
    if not integration.paused_at:
        integration.pause(by=signed_in(request))
    messages.success(request, f"Paused. Events from {integration.name} are kept and posted when you resume it.")
    return redirect(integration)


@button
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    integration = _open_connected(request, pk)
    if integration.paused_at:
        integration.resume()
    messages.success(request, f"Resumed. Waiting events are now posted to {integration.flow_name} in order.")
    return redirect(integration)


@button
def rotate_secret(request: HttpRequest, pk: int) -> HttpResponse:
    integration = _open_connected(request, pk)
    if integration.origin.webhook_service is None:
        raise Http404
    if not may_replace_secret(signed_in(request), integration):
        messages.warning(
            request,
            f"{integration.name} is also connected to other flows, so only the person who connected it can replace its"
            " secret.",
        )
        return redirect(integration)
    integration.origin.rotate_secret(by=signed_in(request))
    return redirect("integrations:connected", pk)


@button
def cut_off_old_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """After a rotation, make the previous secret invalid now, not after its hour."""
    integration = _open_connected(request, pk)
    if not may_replace_secret(signed_in(request), integration):
        raise Http404
    if integration.origin.is_rotating:
        integration.origin.cut_off_previous_secret()
        messages.success(request, f"The old secret of {integration.name} was revoked.")
    return redirect("integrations:connected", pk)


@button
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """End the integration and delete its source in Flowdock. If Flowdock does not respond, nothing changes."""
    integration = _open_connected(request, pk)
    if integration.source_url:
        try:
            with flowdock_as(request) as flowdock:
                flowdock.delete_source(integration.source_url)
        except (FlowNotAccessible, SourceGone) as error:
            # The source no longer exists, or this person may not delete it. The integration ends here all the same.
            logger.info("integration %s: its source was not removed in Flowdock: %s", integration.pk, error)
    integration.remove()
    messages.success(request, f"Removed. {integration.name} no longer posts to {integration.flow_name}.")
    return redirect(integration)
