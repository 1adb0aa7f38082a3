"""What a line may be: one row of a model, by the names of its fields.

A field that others add to these models later is in the file at once: what is left out is named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import (
    BooleanField,
    CharField,
    EmailField,
    F,
    Field,
    ForeignKey,
    IntegerField,
    JSONField,
    Model,
    QuerySet,
)
from pydantic import TypeAdapter
from pydantic import ValidationError as Invalid

from flowdock_server.models import (
    Application,
    Attachment,
    Flow,
    FlowMembership,
    Invitation,
    Membership,
    Message,
    Organization,
    Source,
    Thread,
    ThreadMark,
    User,
)
from flowdock_server.models.people import PARAMETERIZED
from flowdock_server.posting.drafts import Action

from . import Unfit
from .untrusted_json import is_storable

Record = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One type of line.

    `name` is its `type`. Fields in `left_out` are not in the file. `known_by` tells, for a foreign key, the path to
    what the file calls the row it points to; a foreign key that is in neither has its id there. A line without one of
    the `required` fields is unfit.
    """

    name: str
    model: type[Model]
    required: frozenset[str]
    left_out: frozenset[str] = frozenset()
    known_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> list[Field]:
        return [each for each in self.model._meta.concrete_fields if each.name not in self.left_out]

    def records(self, rows: QuerySet[Any]) -> Iterable[Record]:
        """The lines of `rows`, read a thousand at a time."""
        names = [each.name for each in self.fields]
        paths = [F(self.known_by.get(name, name)) for name in names]
        for values in rows.values_list(*paths).iterator(chunk_size=1000):
            yield {"type": self.name} | dict(zip(names, map(_plain, values), strict=True))

    def values(self, record: Record, resolve: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """What the row is made of: fields as Python has them, foreign keys through `resolve[name]`.

        A field that the line lacks, as one of an older version does, has its default; those without one are required.
        Raises Unfit.
        """
        values: dict[str, Any] = {}
        for each in self.fields:
            if each.name not in record:
                if each.name in self.required:
                    raise Unfit(f"{self.name}.{each.name} is missing")
                continue
            value = record[each.name]
            if each.name in resolve:
                value = resolve[each.name](value)
            elif not isinstance(each, ForeignKey):
                value = self._read(each, value)
            values[each.attname] = value
        return values

    def _read(self, each: Field, value: Any) -> Any:
        name = f"{self.name}.{each.name}"
        if value is None:
            if not each.null:
                raise Unfit(f"{name} is null")
            return None
        if isinstance(each, JSONField):
            _check_structure(name, value)
        else:
            expected, words = _written_as(each)
            if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
                raise Unfit(f"{name} must be {words}")
            try:
                value = each.to_python(value)
                # Numbers that are too large, e-mail addresses with line breaks, addresses of pages with slashes. Other
                # texts are stored as they were: what may be posted has changed in the course of time.
                if isinstance(each, IntegerField | EmailField) or PARAMETERIZED in each.validators:
                    each.run_validators(value)
            except ValidationError as error:
                raise Unfit(f"{name}: {' '.join(error.messages)}") from None
        if isinstance(each, CharField) and len(value) > (each.max_length or len(value)):
            raise Unfit(f"{name} is longer than {each.max_length} characters")
        if each.choices and value and value not in dict(each.flatchoices):
            raise Unfit(f"{name} has the unknown value {value!r}")
        if not is_storable(value):
            raise Unfit(f"{name} contains a character that cannot be stored")
        return value


def _written_as(each: Field) -> tuple[type, str]:
    """The type that JSON has for the values of a field, and what to call it."""
    if isinstance(each, BooleanField):
        return bool, "true or false"
    return (int, "a whole number") if isinstance(each, IntegerField) else (str, "a text")


def _check_structure(name: str, value: Any) -> None:
    """What is stored as JSON is shown by pages and API, which take its structure for granted."""
    match name:
        case "message.data":
            if not isinstance(value, dict):
                raise Unfit(f"{name} must be an object")
        case "message.tags":
            if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
                raise Unfit(f"{name} must be a list of strings")
        case "thread.fields":
            if not isinstance(value, list) or not all(map(_is_thread_field, value)):
                raise Unfit(f"{name} must be a list of objects with label and value")
        case "thread.actions":
            if not isinstance(value, list) or not all(isinstance(action, dict) for action in value):
                raise Unfit(f"{name} must be a list of objects")


def _is_thread_field(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("label", "value"))


_ACTION: TypeAdapter[Any] = TypeAdapter(Action)


def is_action(value: Any) -> bool:
    """Whether it could be posted as an action of a thread."""
    try:
        _ACTION.validate_python(value)
    except Invalid:
        return False
    return True


def _plain(value: Any) -> Any:
    """As JSON has it. Times keep their microseconds."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


ORGANIZATION = Kind("organization", Organization, _names("name", "parameterized_name"))
FLOW = Kind("flow", Flow, _names("id", "name", "parameterized_name"), _names("organization"))
USER = Kind("user", User, _names("id", "email", "name", "nick"), _names("password", "last_login"))
COLLEAGUE = Kind("colleague", Membership, _names("user"), _names("id", "organization"))
MEMBER = Kind("member", FlowMembership, _names("user"), _names("id", "flow"))
APPLICATION = Kind("application", Application, _names("client_id", "name"))
SOURCE = Kind(
    "source",
    Source,
    _names("id", "application", "name", "token_digest", "created_at"),
    _names("flow"),
    {"application": "application__client_id"},
)
INVITATION = Kind("invitation", Invitation, _names("email", "token_digest", "created_at"), _names("flow"))
THREAD = Kind("thread", Thread, _names("id"), _names("flow"))
MESSAGE = Kind(
    "message", Message, _names("number", "event", "created_at"), _names("id", "flow"), {"parent": "parent__number"}
)
ATTACHMENT = Kind(
    "attachment",
    Attachment,
    _names("key", "message", "file_name", "content_type", "size"),
    _names("id", "flow", "private_message"),
    {"message": "message__number"},
)
MARK = Kind("mark", ThreadMark, _names("user", "thread"), _names("id"))

# In the order of the file.
KINDS = (
    ORGANIZATION, FLOW, USER, COLLEAGUE, MEMBER, APPLICATION, SOURCE, INVITATION, THREAD, MESSAGE, ATTACHMENT, MARK,
)  # fmt: skip
