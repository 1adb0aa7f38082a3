"""Asking Flowdock about each integration: what nobody would notice while nothing is posted."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from .connecting import ABANDONED_AFTER
from .delivery.attempts import KEY_MISSING, NOT_ALLOWED, PROBLEMS, TOKEN_REFUSED
from .delivery.outcomes import heal, hold
from .delivery.sender import tell
from .fields import UndecipherableSecret
from .flowdock.client import Flowdock, Source
from .flowdock.errors import FlowdockAway, FlowdockUnavailable, FlowNotAccessible, SourceGone, TokenRefused
from .models import Integration, Origin
from .transactions import writing

logger = logging.getLogger(__name__)

BATCH = 200
IN_VAIN = 5  # integrations in a row that nobody answered about: then Flowdock as a whole is away


class Finding(enum.Enum):
    WELL = "OK"
    HEALED = "OK again"
    REFUSED = "needs attention: Flowdock refuses its token"
    NOT_ALLOWED = "needs attention: Flowdock does not allow it to post"
    KEY_MISSING = "needs attention: its token cannot be decrypted"
    REMOVED = "removed in Flowdock"
    UNANSWERED = "not checked: Flowdock did not answer"


def abandoned() -> QuerySet[Integration]:
    """Places taken for a source that never came: whoever was about to create it is no more."""
    return Integration.objects.filter(flow_token="", removed_at=None, created_at__lt=timezone.now() - ABANDONED_AFTER)


def check_all(flowdock: Flowdock, *, change: bool = True) -> Iterator[tuple[Integration, Finding]]:
    """Ask about each connected integration and, with `change`, do what the answer calls for.

    One that Flowdock cannot answer about does not keep the others from being asked about: a limit or an error may be
    its own. Raises FlowdockUnavailable where nobody answers about IN_VAIN of them in a row.
    """
    last, in_vain = 0, 0
    # A batch at a time: a cursor held open over thousands of calls to Flowdock would hold the database up.
    while batch := Integration.objects.connected().filter(pk__gt=last).order_by("pk")[:BATCH]:
        for integration in batch:
            last = integration.pk
            try:
                finding, source = _ask(flowdock, integration)
            except FlowdockUnavailable as error:
                logger.info("%s was not checked: %s", integration, error)
                is_away = error.status is None or isinstance(error, FlowdockAway)
                in_vain = in_vain + 1 if is_away else 0
                if in_vain == IN_VAIN:
                    raise
                yield integration, Finding.UNANSWERED
                continue
            in_vain = 0
            if change:
                _settle(flowdock, integration, finding, source)
            yield integration, finding


def _ask(flowdock: Flowdock, integration: Integration) -> tuple[Finding, Source | None]:
    try:
        source = flowdock.source_of(integration.flow_token)
    except SourceGone:
        return Finding.REMOVED, None
    except TokenRefused:
        return Finding.REFUSED, None
    except FlowNotAccessible:
        return Finding.NOT_ALLOWED, None
    except UndecipherableSecret:
        return Finding.KEY_MISSING, None
    return (Finding.HEALED if integration.problem in PROBLEMS else Finding.WELL), source


def _settle(flowdock: Flowdock, integration: Integration, finding: Finding, source: Source | None) -> None:
    token = "" if finding is Finding.KEY_MISSING else integration.flow_token
    told = None
    with writing():
        Origin.objects.lock([integration.origin_id])
        match finding:
            case Finding.REMOVED:
                integration.remove()
            case Finding.REFUSED:
                told = TOKEN_REFUSED if hold(integration, TOKEN_REFUSED) else None
            case Finding.NOT_ALLOWED:
                told = NOT_ALLOWED if hold(integration, NOT_ALLOWED) else None
            case Finding.KEY_MISSING:
                hold(integration, KEY_MISSING)  # without its token, Flowdock cannot be told
            case Finding.HEALED:
                told = "" if heal(integration) else None
    if source and not integration.flowdock_id:
        _remember(integration, source)
    if told is not None:
        tell(flowdock, token, told)


def _remember(integration: Integration, source: Source) -> None:
    """What a pasted flow token did not tell: with the source's id, "Configure" in the flow finds the integration."""
    integration.flowdock_id, integration.source_url = source.id, source.url[:500]
    try:
        with transaction.atomic():
            integration.save(update_fields=["flowdock_id", "source_url"])
    except IntegrityError:
        logger.warning("integration %s has the flow token of another integration's source", integration.pk)
