"""Connecting an origin to a flow: creates a source in Flowdock and an integration here, or neither of them."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from .flowdock.client import Flow, Flowdock, Source
from .flowdock.errors import FlowdockError, FlowdockUnavailable
from .models import Integration, Origin
from .services.base import OfferedOrigin, Service

logger = logging.getLogger(__name__)

# If Flowdock created a source but its answer was lost, the source is searched for among those this young.
ORPHANED_WITHIN = dt.timedelta(minutes=15)


class AlreadyConnected(Exception):
    """The origin is already connected to this flow, by `integration`, whoever connected it."""

    def __init__(self, integration: Integration) -> None:
        super().__init__("this origin is already connected to this flow")
        self.integration = integration


def connected(service: Service, name: str, flow: Flow) -> Integration | None:
    """The integration that connects the origin to the flow, whoever created it."""
    return (
        Integration.objects.connected()
        .in_flow(flow.id)
        .of_origins_named(service.name, name)
        .select_related("origin", "created_by")
        .first()
    )


def connect(
    person: User,
    flowdock: Flowdock,
    flow: Flow,
    service: Service,
    chosen: OfferedOrigin,
    filters: Mapping[str, Any],
) -> Integration:
    """Connect the origin `chosen` of `service` to `flow`, in the name of `person`, whose access token `flowdock` has.

    A placeholder without a token is stored first: of two clicks, or two people, one can store it and the other gets
    AlreadyConnected with the first one's integration. Raises FlowdockError if Flowdock does not create the source; then
    nothing is left, neither here nor there.
    """
    _delete_unfinished(flow)
    if existing := connected(service, chosen.name, flow):
        raise AlreadyConnected(existing)
    _leave_to_others(person, service, chosen)
    origin, is_new_origin = Origin.objects.get_or_create(
        service=service.name,
        name=chosen.name,
        organization=chosen.organization,
        created_by=person,
        defaults={"external_url": chosen.external_url},
    )
    integration = None
    try:
        integration = _create_placeholder(person, flow, origin, filters)
        _delete_orphans(person, flowdock, flow, origin)
        source = flowdock.create_source(flow, chosen.name, chosen.external_url)
        integration.flowdock_id, integration.source_url = source.id, source.url[:500]
        integration.flow_token = source.flow_token
        integration.save(update_fields=["flowdock_id", "source_url", "flow_token"])
    finally:
        if integration and not integration.flow_token:
            integration.delete()
        if is_new_origin and not (integration and integration.flow_token):
            _delete_unused(origin)
    report_configuration_url(flowdock, integration)
    return integration


def _leave_to_others(person: User, service: Service, chosen: OfferedOrigin) -> None:
    """If somebody else has replaced the secret of the person's origin, make its next flow get another origin.

    Whoever replaced it knows the secret and may not be able to open that flow. The old origin stays connected, without
    an owner.
    """
    theirs = Origin.objects.named(service.name, chosen.name, chosen.organization).filter(created_by=person)
    theirs.exclude(secret_replaced_by=None).exclude(secret_replaced_by=person).update(created_by=None)


def report_configuration_url(flowdock: Flowdock, integration: Integration) -> None:
    """Make "Configure" next to the source lead to the integration's filters, not to the application's address."""
    query = urlencode({"integration_id": str(integration.flowdock_id), "flow": integration.flow_id})
    try:
        flowdock.update_source(
            integration.flow_token,
            configuration_url=f"{settings.BRIDGE_URL}{reverse('integrations:configure')}?{query}",
        )
    except FlowdockError as error:
        logger.warning("integration %s: Flowdock did not take its configuration URL: %s", integration.pk, error)


def _create_placeholder(person: User, flow: Flow, origin: Origin, filters: Mapping[str, Any]) -> Integration:
    """Store an integration without a token: until it is deleted, nobody else can connect this origin to this flow."""
    try:
        with transaction.atomic():
            # Another person's integration of the same repository has another origin, so no constraint applies. Locking
            # all origins of this name makes them wait for each other: the second one finds the first one's integration.
            same = Origin.objects.named(origin.service, origin.name)
            list(same.select_for_update(no_key=True).order_by("pk").values_list("pk"))
            rival = (
                Integration.objects.in_flow(flow.id)
                .of_origins_named(origin.service, origin.name)
                .filter(removed_at=None)
                .exclude(origin=origin)
                .select_related("origin")
                .first()
            )
            if rival is None:
                return Integration.objects.create(
                    origin=origin,
                    name=origin.name,
                    filters=dict(filters),
                    flow_id=flow.id,
                    flow_name=flow.name,
                    flow_web_url=flow.web_url,
                    organization=flow.organization,
                    organization_name=flow.organization_name,
                    created_by=person,
                )
    except IntegrityError:
        raise AlreadyConnected(_await_other_attempt(flow, origin)) from None
    raise AlreadyConnected(_await_other_attempt(flow, rival.origin))


def _await_other_attempt(flow: Flow, origin: Origin) -> Integration:
    """The integration that another attempt to connect `origin` to `flow` creates; waits for it to finish.

    Raises FlowdockUnavailable if that attempt fails or takes too long.
    """
    deadline = time.monotonic() + settings.FLOWDOCK_TIMEOUT
    while time.monotonic() < deadline:
        integration = Integration.objects.of(origin).in_flow(flow.id).filter(removed_at=None).first()
        if integration is None:
            raise FlowdockUnavailable("another attempt to connect it has just failed")
        if integration.has_token:
            return integration
        time.sleep(0.2)
    raise FlowdockUnavailable("another attempt to connect it is still in progress")


def _delete_unfinished(flow: Flow) -> None:
    """Delete the placeholders in this flow of processes that have ended."""
    Integration.objects.in_flow(flow.id).unfinished(timezone.now()).delete()


def _delete_unused(origin: Origin) -> None:
    """Delete an origin that was created in vain, unless somebody else uses it by now."""
    Origin.objects.filter(pk=origin.pk, integrations=None, events=None).delete()


def _delete_orphans(person: User, flowdock: Flowdock, flow: Flow, origin: Origin) -> None:
    """Delete the sources of earlier attempts whose answer never arrived: nobody has their tokens.

    Only those that this person created for this origin a short time ago and that no integration belongs to. Flowdock
    lets an application delete only its own sources.
    """
    try:
        for source in flowdock.sources(flow):
            if _is_orphan(source, person, origin):
                logger.warning("source %s of flow %s has lost its token; it is deleted", source.id, flow.id)
                flowdock.delete_source(source.url)
    except FlowdockError as error:
        # Not an obstacle: an orphan posts nothing and can be removed in the flow's settings.
        logger.warning("flow %s: its sources could not be looked through: %s", flow.id, error)


def _is_orphan(source: Source, person: User, origin: Origin) -> bool:
    return (
        source.name == origin.name
        and source.external_url == origin.external_url
        and source.created_at is not None
        and source.created_at > timezone.now() - ORPHANED_WITHIN
        and person.social_auth.filter(provider="flowdock", uid=source.creator_id).exists()  # type: ignore[attr-defined]
        and not Integration.objects.filter(flowdock_id=source.id).exists()
    )
