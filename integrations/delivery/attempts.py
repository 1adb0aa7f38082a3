"""One attempt to post a delivery, and what came of it."""

from __future__ import annotations

import datetime as dt
import enum
import random
from dataclasses import dataclass
from http import HTTPStatus

from integrations.models import Delivery

FIRST_RETRY = 1.0  # seconds; twice as many with each attempt
LAST_RETRY = 15 * 60.0  # seconds; also how often an integration whose token is refused is tried
LONGEST_WISH = 3600.0  # seconds; what Flowdock asks for beyond it is asked again

TOKEN_REFUSED = "Flowdock refuses this integration's token. Remove the integration and connect it again."  # noqa: S105
NOT_ALLOWED = "Flowdock does not let this integration post. Look at its source in Flowdock, or connect it again."
KEY_MISSING = (
    "This integration's token cannot be decrypted: its key is missing from FIELD_KEYS. Ask the administrator of the"
    " bridge to add that key again, or remove the integration and connect it again."
)
PROBLEMS = (TOKEN_REFUSED, NOT_ALLOWED, KEY_MISSING)


class Fate(enum.Enum):
    """What came of an attempt."""

    DELIVERED = "posted"
    FAILED = "failed"  # the message is refused for good
    LATER = "put off"
    REFUSED = "refused"  # the integration is, and all else it has
    GONE = "gone"  # the source was removed


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt. `status` is what Flowdock answered, `words` what people read."""

    delivery: Delivery
    fate: Fate
    words: str
    at: dt.datetime
    ms: int = 0
    status: int | None = None
    retry_after: float | None = None
    flowdock_thread_id: str = ""
    found_nobody: bool = False  # no connection, or the answer of a gateway

    @property
    def is_rate_limit(self) -> bool:
        return self.fate is Fate.LATER and self.status == HTTPStatus.TOO_MANY_REQUESTS

    @property
    def is_no_answer(self) -> bool:
        """Nothing sensible came. A 500, or another refusal, is about the message, and somebody was there to say so."""
        return self.fate is Fate.LATER and (self.found_nobody or self.status is None)


def backoff(outcome: Outcome) -> dt.timedelta:
    """How long to wait after it: as Flowdock wished, else longer each time, and never all at the same moment."""
    if outcome.fate is Fate.REFUSED:
        return dt.timedelta(seconds=LAST_RETRY)
    if outcome.retry_after is not None:
        wait, spread = min(outcome.retry_after, LONGEST_WISH), (1.0, 1.1)
    else:
        wait, spread = min(FIRST_RETRY * 2 ** len(outcome.delivery.attempts), LAST_RETRY), (0.5, 1.0)
    return dt.timedelta(seconds=wait * random.uniform(*spread))  # noqa: S311  no secret
