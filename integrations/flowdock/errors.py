"""The errors of calls to Flowdock: one class for each way in which callers have to react."""

from __future__ import annotations


class FlowdockError(Exception):
    """Flowdock did not do what was asked. The text is for people and holds no secret.

    `status` is the HTTP status of its answer, or None where there was none.
    """

    status: int | None = None


class SourceGone(FlowdockError):
    """410: the source was removed in Flowdock. Final: the integration ends."""


class ActivityRejected(FlowdockError):
    """400, 413 or 422: Flowdock refuses this message and would do so again. Its delivery fails; its thread goes on."""


class SourceRejected(FlowdockError):
    """400, 413 or 422: Flowdock does not accept a source with this name or address. The person chooses another."""


class TokenRefused(FlowdockError):
    """401: the token is unknown or has expired. A person has to sign in again; an integration needs attention."""


class FlowNotAccessible(FlowdockError):
    """403 or 404: the flow does not exist, or the person may not open it. Flowdock does not say which."""


class FlowdockUnavailable(FlowdockError):
    """5xx, 429, no answer or an unreadable one: try again later, after `retry_after` seconds if it is set."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FlowdockUnreachable(FlowdockUnavailable):
    """No connection, 502, 503 or 504: it may concern all calls to Flowdock, not only this one."""
