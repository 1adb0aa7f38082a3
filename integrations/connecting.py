"""Connecting an origin to a flow: a source in Flowdock and an integration here, both of them or neither."""

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

# A source that Flowdock made while its answer was lost on the way to us is looked for this far back.
ORPHANED_WITHIN = dt.timedelta(minutes=15)


class AlreadyConnected(Exception):
    """The origin reaches this flow already, by `integration`, whoever connected it."""

    def __init__(self, integration: Integration) -> None:
        super().__init__("this origin is already connected to this flow")
        self.integration = integration


def connected(service: Service, name: str, flow: Flow) -> Integration | None:
    """The integration by which the origin reaches the flow, whoever connected it."""
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

    A placeholder without a token takes the place first: of two clicks, or two people, one wins it and the other gets
    AlreadyConnected with what the first one made. Raises FlowdockError when Flowdock does not create the source;
    nothing is left then, neither here nor there.
    """
    _sweep(flow)
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
        integration = _take_place(person, flow, origin, filters)
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
    tell_configuration_url(flowdock, integration)
    return integration


def _leave_to_others(person: User, service: Service, chosen: OfferedOrigin) -> None:
    """Where somebody else replaced the secret of the person's origin, their next flow gets an origin of its own.

    They know the secret and may not be able to open that flow. The old origin stays with its flow and is nobody's.
    """
    theirs = Origin.objects.named(service.name, chosen.name, chosen.organization).filter(created_by=person)
    theirs.exclude(secret_replaced_by=None).exclude(secret_replaced_by=person).update(created_by=None)


def tell_configuration_url(flowdock: Flowdock, integration: Integration) -> None:
    """Let "Configure" beside the source lead to the integration's filters, rather than where the application says."""
    query = urlencode({"integration_id": str(integration.flowdock_id), "flow": integration.flow_id})
    try:
        flowdock.update_source(
            integration.flow_token,
            configuration_url=f"{settings.BRIDGE_URL}{reverse('integrations:configure')}?{query}",
        )
    except FlowdockError as error:
        logger.warning("integration %s: Flowdock did not take its configuration URL: %s", integration.pk, error)


def _take_place(person: User, flow: Flow, origin: Origin, filters: Mapping[str, Any]) -> Integration:
    """An integration without a token, which keeps all others from connecting this origin to this flow meanwhile."""
    try:
        with transaction.atomic():
            # Another person's integration of the same repository has an origin of its own, which no constraint sees. So
            # all who connect it take turns: whoever comes second finds at least the first one's origin, and waits.
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
        raise AlreadyConnected(_outcome(flow, origin)) from None
    raise AlreadyConnected(_outcome(flow, rival.origin))


def _outcome(flow: Flow, origin: Origin) -> Integration:
    """What becomes of another's attempt to connect `origin` to `flow`, which may still be under way."""
    deadline = time.monotonic() + settings.FLOWDOCK_TIMEOUT
    while time.monotonic() < deadline:
        integration = Integration.objects.of(origin).in_flow(flow.id).filter(removed_at=None).first()
        if integration is None:
            raise FlowdockUnavailable("another attempt to connect it has just failed")
        if integration.has_token:
            return integration
        time.sleep(0.2)
    raise FlowdockUnavailable("another attempt to connect it is still in progress")


def _sweep(flow: Flow) -> None:
    """Free the places that processes which are no more have taken in this flow."""
    Integration.objects.in_flow(flow.id).unfinished(timezone.now()).delete()


def _delete_unused(origin: Origin) -> None:
    """Delete an origin that was made for nothing, unless somebody has begun to use it."""
    Origin.objects.filter(pk=origin.pk, integrations=None, events=None).delete()


def _delete_orphans(person: User, flowdock: Flowdock, flow: Flow, origin: Origin) -> None:
    """Delete the sources that an earlier attempt made whose answer never reached us: nobody has their tokens.

    Only what this person made for this very origin moments ago and no integration knows; and Flowdock lets an
    application delete no source but its own.
    """
    try:
        for source in flowdock.sources(flow):
            if _is_orphan(source, person, origin):
                logger.warning("source %s of flow %s has lost its token; it is deleted", source.id, flow.id)
                flowdock.delete_source(source.url)
    except FlowdockError as error:
        # An orphan posts nothing and can be removed in the flow's settings: no reason not to go on.
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
