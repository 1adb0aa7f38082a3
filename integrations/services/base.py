"""What every service is made of: verify, read, filter, word. Nothing here knows of requests or of the ORM."""

from __future__ import annotations

import abc
import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

from integrations.activity import Activity, is_web_address

from .filters import Rule, Verdict, decide


class SignatureMismatch(Exception):
    """The body is not signed by the origin. The sender learns nothing else."""


class UnreadablePayload(ValueError):
    """The body is not what the service sends; the text says what is wrong, by path, and may be shown to the sender."""


class InvalidOrigin(ValueError):
    """What a person typed names no origin of this service; the text says what to type instead."""


# Kinds of what came without a payload, from commands and pages: no kind of the service's, so no rule applies to them.
ACTIVITY, TEST = "activity", "test"
UNSORTED = (ACTIVITY, TEST)

LARGEST_NUMBER = 2**63 - 1
LONGEST_ADDRESS = 2000
# Control characters have no place in a text, a NUL can stop a database, and half of a surrogate pair is no text at all.
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
REPLACEMENT = "\ufffd"
# Left open, they turn the direction of whatever is shown beside the text. Right-to-left names do without.
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def header(headers: Mapping[str, str], name: str) -> str:
    """The header's value, "" where it is absent: whichever way its name is written, also in a plain dict."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


def shorten(text: str, longest: int) -> str:
    """`text` on one line and at most `longest` signs long; where something is cut off, an ellipsis says so."""
    text = " ".join(text[: longest * 4].split())
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def readable(text: str) -> str:
    """`text` as a database can store it, as UTF-8 can write it, and with its directions closed."""
    return DIRECTIONS.sub("", UNSTORABLE.sub(REPLACEMENT, text))


class Payload:
    """A webhook's JSON object, read by dotted paths: a value of the right type, or UnreadablePayload naming the path.

    The plain verbs (`text`, `number`, ...) are for what the service always sends. Those that begin with `maybe_` take
    an absent or null value as empty and refuse a wrong type, but for `maybe_url`. Every text is `readable`.
    """

    def __init__(self, data: Mapping[str, Any], prefix: str = "") -> None:
        self.data = data
        self.prefix = prefix

    @classmethod
    def from_json(cls, body: bytes | str) -> Payload:
        try:
            # json.loads alone would guess UTF-16, let surrogates through, and take NaN for a number.
            data = json.loads(body if isinstance(body, str) else body.decode("utf-8-sig"), parse_constant=_no_constant)
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
        """The value at `path`, or None where it, or an object on the way to it, is absent or null."""
        value: Any = self.data
        way = self.prefix
        for key in path.split("."):
            if value is None:
                return None
            if not isinstance(value, Mapping):
                raise UnreadablePayload(f"{way.rstrip('.')} is not an object")
            value = value.get(key)
            way += f"{key}."
        return value

    def _typed(self, path: str, kind: type | tuple[type, ...], words: str) -> Any:
        value = self._find(path)
        # In Python a bool is an int; in JSON it is not a number.
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise UnreadablePayload(f"{self.prefix}{path} is not {words}")
        return value

    def _present(self, path: str, value: Any) -> Any:
        if value is None:
            raise UnreadablePayload(f"{self.prefix}{path} is missing")
        return value

    def text(self, path: str) -> str:
        """A text that is not blank."""
        value = self.maybe_text(path)
        if not value.strip():
            raise UnreadablePayload(f"{self.prefix}{path} is missing")
        return value

    def maybe_text(self, path: str) -> str:
        return readable(self._typed(path, str, "text") or "")

    def number(self, path: str) -> int:
        return int(self._present(path, self.maybe_number(path)))

    def maybe_number(self, path: str) -> int | None:
        value: int | None = self._typed(path, int, "a whole number")
        if value is not None and abs(value) > LARGEST_NUMBER:
            raise UnreadablePayload(f"{self.prefix}{path} is larger than any number we know of")
        return value

    def flag(self, path: str) -> bool:
        """True or false; absent or null is false."""
        return bool(self._typed(path, bool, "true or false"))

    def url(self, path: str) -> str:
        value = self.text(path)
        if not is_web_address(value):
            raise UnreadablePayload(f"{self.prefix}{path} is not an http(s) address")
        if len(value) > LONGEST_ADDRESS:
            raise UnreadablePayload(f"{self.prefix}{path} is longer than an address can be")
        return value

    def maybe_url(self, path: str) -> str:
        """An address that the post can do without, an avatar's: empty where it is absent or cannot be a link."""
        value = self._find(path)
        text = readable(value) if isinstance(value, str) else ""
        return text if is_web_address(text) and len(text) <= LONGEST_ADDRESS else ""

    def object(self, path: str) -> Payload:
        return Payload(self._present(path, self._typed(path, Mapping, "an object")), f"{self.prefix}{path}.")

    def objects(self, path: str) -> Iterator[Payload]:
        """The objects of the list at `path`; absent or null is an empty list."""
        for index, item in enumerate(self._typed(path, list, "a list") or []):
            if not isinstance(item, Mapping):
                raise UnreadablePayload(f"{self.prefix}{path}.{index} is not an object")
            yield Payload(item, f"{self.prefix}{path}.{index}.")

    def texts(self, path: str) -> tuple[str, ...]:
        """The texts of the list at `path`; absent or null is an empty list."""
        values = self._typed(path, list, "a list") or []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise UnreadablePayload(f"{self.prefix}{path}.{index} is not text")
        return tuple(map(readable, values))

    def maybe_time(self, path: str) -> dt.datetime | None:
        """The aware time that an ISO 8601 text gives; absent, null or without a time zone is None."""
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


# The event log's line and its columns in the database; the payload has the whole.
LONGEST = {"kind": 100, "action": 100, "actor": 255, "summary": 500, "subject": 500, "why_not": 255}


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """What happened at an origin, as a service read it. All texts are plain, on one line, and cut to fit the log.

    `kind` and `action` are the service's own words ("pull_request", "opened"). `summary` and `subject` are the line in
    the event log: who did what ("Lea Cohen asked for changes in"), and to what ("Greet people in their own language").
    `facts` holds, by the name of a filter's rule, the words that rule looks at; a rule whose fact is absent does not
    apply. `activity` is None for a kind that is not posted, and `why_not` then says so in words.

    `is_dated`: the body tells when it happened, so the same body again is the same happening, under whichever id it is
    sent. For services that sign the body and not the id: whoever has seen a signed body could send it again and again.
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
    """Filters to start with. `filters` has the shape that `filters.decide` takes; empty lets everything through."""

    name: str
    title: str
    description: str
    filters: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a person does at the service after connecting. `html` is ours, never anybody's input.

    The step with `shows_address` is where the page puts the hook's address and secret, under the service's own labels.
    """

    html: str
    shows_address: bool = False


@dataclass(frozen=True, slots=True)
class OfferedOrigin:
    """An origin to choose from a list. All are plain texts; `hint` says what it is, below its name.

    `organization` is the `parameterized_name` of the organization that it belongs to: only flows of that organization
    can be connected to it. Empty: flows of any organization can.
    """

    name: str
    external_url: str = ""
    hint: str = ""
    organization: str = ""


class Service(abc.ABC):
    """One kind of system that things happen in. An instance holds no state: the registry makes one for the process.

    What they happen through is in the classes below it: WebhookService for those that send them, own_apps.OwnApp for
    the apps beside this one, which tell of them by a signal.
    """

    name: str  # in the database and in addresses
    title: str  # "GitHub"
    origin_noun: str  # what the service calls an origin: "repository"
    origin_example: str  # "octo/hello"
    icon: str  # a symbol of static/icons.svg
    rules: tuple[Rule, ...]
    presets: tuple[Preset, ...]  # the first is preselected
    has_hooks: ClassVar[bool] = False  # whether it is a WebhookService, for templates

    @abc.abstractmethod
    def clean_origin(self, typed: str) -> tuple[str, str]:
        """The origin's name and web address from what a person typed. Raises InvalidOrigin."""

    def find_origin(self, typed: str, organization: str) -> OfferedOrigin:
        """The origin that a person named for a flow of `organization`. Raises InvalidOrigin."""
        return OfferedOrigin(*self.clean_origin(typed))

    def offered(self, organization: str) -> tuple[OfferedOrigin, ...] | None:
        """All the origins for a flow of `organization`, where the service knows them; None where people type a name."""
        return None

    def decide(self, event: ParsedEvent, filters: Mapping[str, Any]) -> Verdict:
        """Whether `event` passes, and if not, which rule refused it, in words."""
        return decide(self.rules, filters, event.facts)


class WebhookService(Service):
    """An external system that sends each happening to an address of ours, signed with a secret."""

    has_hooks = True
    address_label: ClassVar[str]  # what the service calls the hook's address: "Payload URL"
    secret_label: ClassVar[str]

    @abc.abstractmethod
    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """Raise SignatureMismatch unless `body` comes from one who knows `secret`. `headers` ignore case."""

    @abc.abstractmethod
    def sign(self, body: bytes, secret: str, request_id: str = "") -> dict[str, str]:
        """The headers with which the service would sign `body`: what `verify` accepts. For replays and tests.

        `request_id` is for services that sign it as well; without one they take a new one.
        """

    @abc.abstractmethod
    def announce(self, kind: str, request_id: str) -> dict[str, str]:
        """The other headers with which it would send a payload of `kind` under that id. For replays and tests."""

    @abc.abstractmethod
    def request_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The sender's own id of this delivery, the same when it is sent again. Raises UnreadablePayload."""

    @abc.abstractmethod
    def read(self, body: bytes, headers: Mapping[str, str]) -> ParsedEvent:
        """What happened. Raises UnreadablePayload. A pure function, so that the past can be read again."""

    @abc.abstractmethod
    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        """What is left to do at the service, once the origin's hook has an address and a secret."""
