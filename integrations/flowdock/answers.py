"""What Flowdock answered: read into values of the right types, or into the error that tells callers how to react."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

from hosting import hostile_json
from integrations.storable import storable_json

from .errors import (
    FlowdockError,
    FlowdockUnavailable,
    FlowdockUnreachable,
    FlowNotAccessible,
    SourceGone,
    TokenRefused,
)

# The longest list of flows with all their people is far smaller; anything larger is not an answer of Flowdock's.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_RETRY_AFTER = 24 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Posted:
    """Flowdock's answer to a message that it accepted; the ids are empty if it contains none (a 202 has no body)."""

    message_id: str
    thread_id: str
    status: int


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, its texts storable.

        Raises FlowdockUnavailable if it is not JSON, as the error page of a proxy.
        """
        try:
            return storable_json(hostile_json.loads(self.body))
        except (ValueError, RecursionError):
            raise FlowdockUnavailable(f"Flowdock answered {self.status} with something that is not JSON") from None

    def readable(self) -> Mapping[str, Any]:
        """The body as a JSON object, or an empty one if it is anything else."""
        try:
            resource = self.json()
        except FlowdockUnavailable:
            return {}
        return resource if isinstance(resource, Mapping) else {}

    def object(self) -> Mapping[str, Any]:
        return as_object(self.json())

    def form(self) -> dict[str, str]:
        """The body as form fields. Flowdock returns tokens in this format if it ignores `Accept`."""
        return dict(parse_qsl(self.body.decode(errors="replace")))

    def words(self) -> str:
        """The error text of Flowdock: its `message`, then each of its `errors` by field."""
        resource = self.readable()
        words = [optional_text(resource, "message")]
        errors = resource.get("errors")
        if isinstance(errors, Mapping):
            for field, texts in errors.items():
                texts = texts if isinstance(texts, list) else [texts]
                words.append(f"{field} {', '.join(text for text in texts if isinstance(text, str))}")
        return "; ".join(word for word in words if word)[:300]


def refused(answer: Answer, refusal: type[FlowdockError], secrets: Iterable[str]) -> FlowdockError:
    """The error for an answer that is not 2xx. `refusal` is its class for 400, 413 and 422.

    Flowdock's words are part of its text, without any of `secrets`.
    """
    words = answer.words()
    for secret in secrets:
        words = words.replace(secret, "hidden") if secret else words
    message = f"Flowdock answered {answer.status}" + (f": {words}" if words else "")
    error: FlowdockError
    match answer.status:
        case 400 | 413 | 422 if refusal is not FlowdockUnavailable:
            error = refusal(words or message)
        case 401:
            error = TokenRefused(message)
        case 403 | 404:
            error = FlowNotAccessible(message)
        case 410:
            error = SourceGone(message)
        case 502 | 503 | 504:
            error = FlowdockUnreachable(message, retry_after=_retry_after(answer.headers.get("Retry-After", "")))
        case _:
            error = FlowdockUnavailable(message, retry_after=_retry_after(answer.headers.get("Retry-After", "")))
    error.status = answer.status
    return error


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or an HTTP date; or None if it contains neither."""
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return min(float(value), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return min(max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0), MAX_RETRY_AFTER)


# Reading answers: a value of the right type, or FlowdockUnavailable with an explanation


def as_object(resource: object) -> Mapping[str, Any]:
    if not isinstance(resource, Mapping):
        raise FlowdockUnavailable("Flowdock answered in an unknown format")
    return resource


def as_objects(resource: object) -> list[Mapping[str, Any]]:
    if not isinstance(resource, list):
        raise FlowdockUnavailable("Flowdock answered in an unknown format: not a list")
    return [as_object(item) for item in resource]


def optional_text(resource: Mapping[str, Any], name: str) -> str:
    """A text that may be missing."""
    value = resource.get(name)
    return value if isinstance(value, str) else ""


def required_id(resource: Mapping[str, Any], name: str) -> str:
    """A required id. Flowdock has returned the same id both as a number and as a text."""
    value = resource.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not 0 < len(str(value)) <= 100:
        raise FlowdockUnavailable(f"Flowdock answered in an unknown format: {name} is missing")
    return str(value)


def read_posted(answer: Answer) -> Posted:
    """After any 2xx, the message is stored: what cannot be read in the answer is left empty."""
    resource = answer.readable()
    thread = resource.get("thread")
    # `thread.id` is Flowdock's own; in the 2014 dialect `thread_id` may repeat the key that we sent.
    thread_id = thread.get("id") if isinstance(thread, Mapping) else None
    return Posted(
        message_id=_maybe_id(resource.get("id")),
        thread_id=_maybe_id(thread_id or resource.get("thread_id")),
        status=answer.status,
    )


def _maybe_id(value: object) -> str:
    return str(value)[:100] if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
