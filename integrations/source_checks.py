"""Asking Flowdock about each integration, to find problems that would show only when something is posted."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator

from django.db import IntegrityError, transaction

from .delivery.attempts import KEY_MISSING, NOT_ALLOWED, PROBLEMS, TOKEN_REFUSED
from .delivery.outcomes import clear_problem, set_problem
from .delivery.sender import report_problem
from .fields import UndecipherableSecret
from .flowdock.client import Flowdock, Source
from .flowdock.errors import FlowdockUnavailable, FlowdockUnreachable, FlowNotAccessible, SourceGone, TokenRefused
from .models import Integration, Origin
from .transactions import write_transaction

logger = logging.getLogger(__name__)

BATCH = 200
MAX_UNANSWERED = 5  # integrations in a row; then Flowdock as a whole is taken to be unavailable


class Finding(enum.Enum):
    WELL = "OK"
    SOLVED = "OK again"
    REFUSED = "needs attention: Flowdock refuses its token"
    NOT_ALLOWED = "needs attention: Flowdock does not allow it to post"
    KEY_MISSING = "needs attention: its token cannot be decrypted"
    REMOVED = "removed in Flowdock"
    UNANSWERED = "not checked: Flowdock did not answer"


def check_all(flowdock: Flowdock, *, change: bool = True) -> Iterator[tuple[Integration, Finding]]:
    """Ask Flowdock about each connected integration and, with `change`, do what its answer calls for.

    One that Flowdock cannot answer about is skipped: a rate limit or an error may concern only this one. Raises
    FlowdockUnavailable if Flowdock gives no answer about MAX_UNANSWERED of them in a row.
    """
    last, unanswered = 0, 0
    # A batch at a time: a cursor that stays open during thousands of calls to Flowdock would block the database.
    while batch := Integration.objects.connected().filter(pk__gt=last).order_by("pk")[:BATCH]:
        for integration in batch:
            last = integration.pk
            try:
                finding, source = _ask(flowdock, integration)
            except FlowdockUnavailable as error:
                logger.info("%s was not checked: %s", integration, error)
                is_unreachable = error.status is None or isinstance(error, FlowdockUnreachable)
                unanswered = unanswered + 1 if is_unreachable else 0
                if unanswered == MAX_UNANSWERED:
                    raise
                yield integration, Finding.UNANSWERED
                continue
            unanswered = 0
            if change:
                _apply(flowdock, integration, finding, source)
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
    return (Finding.SOLVED if integration.problem in PROBLEMS else Finding.WELL), source


def _apply(flowdock: Flowdock, integration: Integration, finding: Finding, source: Source | None) -> None:
    token = "" if finding is Finding.KEY_MISSING else integration.flow_token
    report = None
    with write_transaction():
        Origin.objects.lock([integration.origin_id])
        match finding:
            case Finding.REMOVED:
                integration.remove()
            case Finding.REFUSED:
                report = TOKEN_REFUSED if set_problem(integration, TOKEN_REFUSED) else None
            case Finding.NOT_ALLOWED:
                report = NOT_ALLOWED if set_problem(integration, NOT_ALLOWED) else None
            case Finding.KEY_MISSING:
                set_problem(integration, KEY_MISSING)  # without its token, nothing can be reported
            case Finding.SOLVED:
                report = "" if clear_problem(integration) else None
    if source and not integration.flowdock_id:
        _store_source(integration, source)
    if report is not None:
        report_problem(flowdock, token, report)


def _store_source(integration: Integration, source: Source) -> None:
    """Store the id of a source whose flow token was pasted: with it, "Configure" in the flow finds the integration."""
    integration.flowdock_id, integration.source_url = source.id, source.url[:500]
    try:
        with transaction.atomic():
            integration.save(update_fields=["flowdock_id", "source_url"])
    except IntegrityError:
        logger.warning("integration %s has the flow token of another integration's source", integration.pk)
