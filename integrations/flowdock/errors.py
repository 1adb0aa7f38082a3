"""What can go wrong at Flowdock, one class for each reaction: an error tells its catcher what to do."""

from __future__ import annotations


class FlowdockError(Exception):
    """Flowdock did not do what was asked. The text is for people and holds no secret.

    `status` is the HTTP status of its answer, or None where there was none.
    """

    status: int | None = None


class SourceGone(FlowdockError):
    """410: the source was removed in Flowdock. Final: the integration ends."""


class ActivityRejected(FlowdockError):
    """400, 413 or 422: this message is refused, and would be again. It fails visibly; the next one goes on."""


class SourceRejected(FlowdockError):
    """400, 413 or 422: Flowdock does not take a source with this name or address. A person chooses another."""


class TokenRefused(FlowdockError):
    """401: the token is unknown or has expired. A person signs in again; an integration needs attention."""


class FlowNotAccessible(FlowdockError):
    """403 or 404: there is no such flow, or the person may not open it. Which of the two is not told."""


class FlowdockUnavailable(FlowdockError):
    """5xx, 429, no answer or an unreadable one: try again, after `retry_after` seconds where Flowdock said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FlowdockUnreachable(FlowdockUnavailable):
    """No connection, 502, 503 or 504: it may concern the whole server, and so everybody who calls it."""
