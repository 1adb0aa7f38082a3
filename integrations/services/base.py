"""The base of all services: verify, read, filter, word. Nothing here knows Django's requests or the ORM."""

from __future__ import annotations

import abc
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

from hosting import hostile_json
from integrations.activity import Activity, is_web_address

from .filters import Rule, Verdict, decide


class SignatureMismatch(Exception):
    """The body is not signed with the origin's secret. The sender learns nothing else."""


class UnreadablePayload(ValueError):
    """The request is not what the service sends. The text names the path and the problem; the sender may see it."""


class InvalidOrigin(ValueError):
    """What a person typed is not an origin of this service; the text says what to type instead."""


# Kinds of events that commands and pages create without a payload. No filter applies to them.
ACTIVITY, TEST = "activity", "test"
BRIDGE_KINDS = (ACTIVITY, TEST)

LARGEST_NUMBER = 2**63 - 1
LONGEST_ADDRESS = 2000
# Control characters, NUL, which PostgreSQL rejects, and lone surrogates, which UTF-8 cannot encode.
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
REPLACEMENT = "\ufffd"
# Overrides of the text direction, which would also turn what follows. Right-to-left names do not need them.
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def header(headers: Mapping[str, str], name: str) -> str:
    """The header's value, or "". The name's case is ignored, in plain dicts too."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


def shorten(text: str, longest: int) -> str:
    """`text` on one line, shortened to `longest` characters with an ellipsis."""
    text = " ".join(text[: longest * 4].split())
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def sanitize(text: str) -> str:
    """`text` without characters that a database or UTF-8 cannot hold, and without direction overrides."""
    return DIRECTIONS.sub("", UNSTORABLE.sub(REPLACEMENT, text))


class Payload:
    """A webhook request's JSON object, read by dotted paths. Values of a wrong type raise UnreadablePayload.

    `text`, `number` and `url` are for values that the service always sends: a missing one raises as well. The methods
    that begin with `maybe_` return an empty value for an absent or null one. Texts are sanitized.
    """

    def __init__(self, data: Mapping[str, Any], prefix: str = "") -> None:
        self.data = data
        self.prefix = prefix

    @classmethod
    def from_json(cls, body: bytes | str) -> Payload:
        try:
            # Of bytes, the parser would guess UTF-16 and let surrogates through. By itself, it takes NaN for a number.
            text = body if isinstance(body, str) else body.decode("utf-8-sig")
            data = hostile_json.loads(text, parse_constant=_no_constant)
        except RecursionError as error:
            raise UnreadablePayload("the body is nested too deeply") from error
        except ValueError as error:
            raise UnreadablePayload("the body is not JSON") from error
        if not isinstance(data, dict):
            raise UnreadablePayload("the body is not a JSON object")
        return cls(data)

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def _find(self, path: str) -> Any:
        """The value at `path`; None if it, or an object on the path, is absent or null."""
        value: Any = self.data
        passed = self.prefix
        for key in path.split("."):
            if value is None:
                return None
            if not isinstance(value, Mapping):
                raise UnreadablePayload(f"{passed.rstrip('.')} is not an object")
            value = value.get(key)
            passed += f"{key}."
        return value

    def _typed(self, path: str, kind: type | tuple[type, ...], expected: str) -> Any:
        value = self._find(path)
        # In Python a bool is an int, in JSON it is not a number.
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise UnreadablePayload(f"{self.prefix}{path} is not {expected}")
        return value

    def _present(self, path: str, value: Any) -> Any:
        if value is None:
            raise UnreadablePayload(f"{self.prefix}{path} is missing")
        return value

    def text(self, path: str) -> str:
        """A text that is not empty or blank."""
        value = self.maybe_text(path)
        if not value.strip():
            raise UnreadablePayload(f"{self.prefix}{path} is missing")
        return value

    def maybe_text(self, path: str) -> str:
        return sanitize(self._typed(path, str, "a string") or "")

    def number(self, path: str) -> int:
        return int(self._present(path, self.maybe_number(path)))

    def maybe_number(self, path: str) -> int | None:
        value: int | None = self._typed(path, int, "an integer")
        if value is not None and abs(value) > LARGEST_NUMBER:
            raise UnreadablePayload(f"{self.prefix}{path} is too large")
        return value

    def flag(self, path: str) -> bool:
        """True or false; absent or null is false."""
        return bool(self._typed(path, bool, "true or false"))

    def url(self, path: str) -> str:
        value = self.text(path)
        if not is_web_address(value):
            raise UnreadablePayload(f"{self.prefix}{path} is not an http(s) URL")
        if len(value) > LONGEST_ADDRESS:
            raise UnreadablePayload(f"{self.prefix}{path} is longer than {LONGEST_ADDRESS} characters")
        return value

    def maybe_url(self, path: str) -> str:
        """An optional URL, such as an avatar's: empty if it is absent or cannot be linked, whatever its type."""
        value = self._find(path)
        text = sanitize(value) if isinstance(value, str) else ""
        return text if is_web_address(text) and len(text) <= LONGEST_ADDRESS else ""

    def object(self, path: str) -> Payload:
        return Payload(self._present(path, self._typed(path, Mapping, "an object")), f"{self.prefix}{path}.")

    def objects(self, path: str) -> Iterator[Payload]:
        """The objects in the list at `path`; absent or null is an empty list."""
        for index, item in enumerate(self._typed(path, list, "a list") or []):
            if not isinstance(item, Mapping):
                raise UnreadablePayload(f"{self.prefix}{path}.{index} is not an object")
            yield Payload(item, f"{self.prefix}{path}.{index}.")

    def texts(self, path: str) -> tuple[str, ...]:
        """The texts in the list at `path`; absent or null is an empty list."""
        values = self._typed(path, list, "a list") or []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise UnreadablePayload(f"{self.prefix}{path}.{index} is not a string")
        return tuple(map(sanitize, values))

    def maybe_time(self, path: str) -> dt.datetime | None:
        """The aware datetime of an ISO 8601 text; None if it is absent, null or without a time zone."""
        text = self.maybe_text(path)
        if not text:
            return None
        try:
            time = dt.datetime.fromisoformat(text)
        except ValueError as error:
            raise UnreadablePayload(f"{self.prefix}{path} is not an ISO 8601 time") from error
        return time if time.tzinfo else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# The lengths of the event log's columns. The stored payload keeps the full texts.
LONGEST = {"kind": 100, "action": 100, "actor": 255, "summary": 500, "subject": 500, "why_not": 255}


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """A service's reading of a payload. All texts are plain, on one line, and shortened to fit the log.

    `kind` and `action` are the service's own names ("pull_request", "opened"). `summary` and `subject` are the line in
    the event log: who did what ("Lea Cohen requested changes in"), and to what ("Greet people in their own language").
    `facts` holds the event's values for each filter rule, by the rule's name; a rule whose fact is absent does not
    apply. `activity` is None if the event is not posted, and `why_not` says why.

    `is_dated`: the body contains the time of the event, so an equal body is the same event, under whichever request id
    it is sent. This is for services that sign the body but not the id: anybody who has seen a signed body could replay
    it.
    """

    kind: str
    action: str = ""
    actor: str = ""
    summary: str = ""
    subject: str = ""
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    activity: Activity | None = None
    why_not: str = ""
    is_dated: bool = False

    def __post_init__(self) -> None:
        for name, longest in LONGEST.items():
            object.__setattr__(self, name, shorten(getattr(self, name), longest))


@dataclass(frozen=True, slots=True)
class Preset:
    """Filters to start from. `filters` has the shape that `filters.decide` takes; empty lets everything through."""

    name: str
    title: str
    description: str
    filters: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)


EVERYTHING = Preset("everything", "Everything", "Every event.")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do at the service after connecting. `html` is trusted: it must not contain unescaped input.

    The page shows the webhook address and the secret in the step with `shows_address`, under the service's own labels.
    """

    html: str
    shows_address: bool = False


@dataclass(frozen=True, slots=True)
class OfferedOrigin:
    """An origin to choose from a list. All texts are plain; `hint` is shown below the name.

    `organization` is the `parameterized_name` of the organization that it belongs to: only that organization's flows
    can connect it. If it is empty, any flow can.
    """

    name: str
    external_url: str = ""
    hint: str = ""
    organization: str = ""


class Service(abc.ABC):
    """A kind of system that events come from. The registry holds one instance, without state, for the process.

    Subclasses: WebhookService for external systems that send webhook requests, own_apps.OwnApp for Django apps in this
    project, which send a signal.
    """

    name: str  # in the database and in addresses
    title: str  # "GitHub"
    origin_noun: str  # the service's word for an origin: "repository"
    origin_example: str  # "octo/hello"
    icon: str  # a symbol of static/icons.svg
    rules: tuple[Rule, ...]
    presets: tuple[Preset, ...]  # the first is preselected
    has_hooks: ClassVar[bool] = False  # for templates: whether it is a WebhookService

    @abc.abstractmethod
    def clean_origin(self, typed: str) -> tuple[str, str]:
        """Return the origin's name and web address from what a person typed. Raises InvalidOrigin."""

    def find_origin(self, typed: str, organization: str) -> OfferedOrigin:
        """Return the origin that a person named, for a flow of `organization`. Raises InvalidOrigin."""
        return OfferedOrigin(*self.clean_origin(typed))

    def offered(self, organization: str) -> tuple[OfferedOrigin, ...] | None:
        """Return all origins for a flow of `organization`, or None if the service cannot list them."""
        return None

    def decide(self, event: ParsedEvent, filters: Mapping[str, Any]) -> Verdict:
        """Decide whether `event` passes the filters, and why not."""
        return decide(self.rules, filters, event.facts)


class WebhookService(Service):
    """An external system that sends each event to a webhook address of ours, signed with a secret."""

    has_hooks = True
    address_label: ClassVar[str]  # the service's label for the webhook address: "Payload URL"
    secret_label: ClassVar[str]

    @abc.abstractmethod
    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """Raise SignatureMismatch unless `body` is signed with `secret`."""

    @abc.abstractmethod
    def sign(self, body: bytes, secret: str, request_id: str = "") -> dict[str, str]:
        """Return the headers with which the service would sign `body`: `verify` accepts them. For replays and tests.

        Services that also sign the request id use `request_id`, or a new one if it is empty.
        """

    @abc.abstractmethod
    def announce(self, kind: str, request_id: str) -> dict[str, str]:
        """Return the other headers of a request with a payload of `kind` and this id. For replays and tests."""

    @abc.abstractmethod
    def request_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Return the sender's id of this request, which it repeats on a retry. Raises UnreadablePayload."""

    @abc.abstractmethod
    def read(self, body: bytes, headers: Mapping[str, str]) -> ParsedEvent:
        """Read the event. Raises UnreadablePayload. A pure function, so that stored requests can be read again."""

    @abc.abstractmethod
    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        """Return what is left to do at the service once the webhook address and the secret exist."""
