"""One attempt to post a delivery, and how it ended."""

from __future__ import annotations

import datetime as dt
import enum
import random
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from integrations.models import Integration

FIRST_RETRY = 1.0  # seconds; twice as many with each attempt
MAX_RETRY = 15 * 60.0  # seconds; also how often an integration whose token is refused is tried
MAX_RETRY_AFTER = 3600.0  # seconds; where Flowdock asks for more, it is asked again after these

TOKEN_REFUSED = "Flowdock refuses this integration's token. Remove the integration and connect it again."  # noqa: S105
NOT_ALLOWED = (
    "Flowdock does not allow this integration to post. Check its source in Flowdock, or connect the integration again."
)
KEY_MISSING = (
    "This integration's token cannot be decrypted: its key is missing from FIELD_KEYS. Ask the administrator of the"
    " bridge to add that key again, or remove the integration and connect it again."
)
PROBLEMS = (TOKEN_REFUSED, NOT_ALLOWED, KEY_MISSING)


class Outcome(enum.Enum):
    """How an attempt ended. The values are what `deliver_activities` prints."""

    DELIVERED = "posted"
    FAILED = "failed"  # Flowdock will never take this message
    RETRY = "to be retried"
    REFUSED = "refused"  # Flowdock takes no message of this integration
    SOURCE_REMOVED = "of a removed source"


@dataclass(frozen=True, slots=True, eq=False)
class Posting:
    """A claimed delivery: what is posted, and the attempts before. Much cheaper to load than the model's objects."""

    pk: int
    event_id: int
    created_at: dt.datetime
    uuid: UUID
    integration: Integration
    thread_id: str
    attempts: list[dict[str, Any]]
    activity: dict[str, Any] | None  # as stored

    @property
    def integration_id(self) -> int:
        return self.integration.pk


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One attempt. `status` is Flowdock's HTTP status, if it answered; `message` is for people."""

    delivery: Posting
    outcome: Outcome
    message: str
    at: dt.datetime
    ms: int = 0
    status: int | None = None
    retry_after: float | None = None
    flowdock_thread_id: str = ""
    is_unreachable: bool = False  # no connection, or a gateway answered in Flowdock's place

    @property
    def is_rate_limited(self) -> bool:
        return self.outcome is Outcome.RETRY and self.status == HTTPStatus.TOO_MANY_REQUESTS

    @property
    def has_no_usable_answer(self) -> bool:
        """Whether Flowdock did not answer, or not in a readable way. A 500 is an answer: it is about this message."""
        return self.outcome is Outcome.RETRY and (self.is_unreachable or self.status is None)


def backoff(attempt: Attempt) -> dt.timedelta:
    """How long to wait after `attempt`: as Flowdock asked, else longer each time. Jitter spreads the retries."""
    if attempt.outcome is Outcome.REFUSED:
        return dt.timedelta(seconds=MAX_RETRY)
    if attempt.retry_after is not None:
        wait, spread = min(attempt.retry_after, MAX_RETRY_AFTER), (1.0, 1.1)
    else:
        wait, spread = min(FIRST_RETRY * 2 ** len(attempt.delivery.attempts), MAX_RETRY), (0.5, 1.0)
    return dt.timedelta(seconds=wait * random.uniform(*spread))  # noqa: S311  no secret
