"""The types of records in the file: each is a row of a model, by the names of the model's fields.

A field that is added to one of these models is exported without a change here. Fields that are not are listed here.
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
from flowdock_server.parsing.storable import is_storable_json
from flowdock_server.posting.drafts import Action

from . import InvalidArchive

Record = dict[str, Any]


@dataclass(frozen=True)
class RecordType:
    """One type of record.

    `name` is its `type` in the file. Fields in `excluded` are not in the file. `references` maps a foreign key to the
    path of the field that identifies its row in the file; any other foreign key is exported as the id of its row. A
    record without one of the `required` fields is invalid.
    """

    name: str
    model: type[Model]
    required: frozenset[str]
    excluded: frozenset[str] = frozenset()
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> list[Field[Any, Any]]:
        return [each for each in self.model._meta.concrete_fields if each.name not in self.excluded]

    def records(self, rows: QuerySet[Any]) -> Iterable[Record]:
        """The records of `rows`, fetched a thousand at a time."""
        names = [each.name for each in self.fields]
        paths = [F(self.references.get(name, name)) for name in names]
        for values in rows.values_list(*paths).iterator(chunk_size=1000):
            yield {"type": self.name} | dict(zip(names, map(_to_json, values), strict=True))

    def values(self, record: Record, resolvers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """The arguments for the model: values as Python has them, foreign keys through `resolvers[name]`.

        A field that is absent, as in a file of an older version, gets the model's default. Raises InvalidArchive for
        an absent field that is required, and for a value that the field cannot have.
        """
        values: dict[str, Any] = {}
        for each in self.fields:
            if each.name not in record:
                if each.name in self.required:
                    raise InvalidArchive(f"{self.name}.{each.name} is missing")
                continue
            value = record[each.name]
            if each.name in resolvers:
                value = resolvers[each.name](value)
            elif not isinstance(each, ForeignKey):
                value = self._parse(each, value)
            values[each.attname] = value
        return values

    def _parse(self, each: Field[Any, Any], value: Any) -> Any:
        name = f"{self.name}.{each.name}"
        if value is None:
            if not each.null:
                raise InvalidArchive(f"{name} must not be null")
            return None
        if isinstance(each, JSONField):
            _check_structure(name, value)
        else:
            value = _convert(each, name, value)
        if isinstance(each, CharField) and len(value) > (each.max_length or len(value)):
            raise InvalidArchive(f"{name} is longer than {each.max_length} characters")
        if each.choices and value and value not in dict(each.flatchoices):
            raise InvalidArchive(f"{name} has the unknown value {value!r}")
        if not is_storable_json(value):
            raise InvalidArchive(f"{name} contains a character that cannot be stored")
        return value


def _convert(each: Field[Any, Any], name: str, value: Any) -> Any:
    expected, description = _json_type(each)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise InvalidArchive(f"{name} must be {description}")
    try:
        value = each.to_python(value)
        # These refuse numbers that are too large, e-mail addresses with line breaks, and slashes in a part of an
        # address. Other texts are stored unchecked: what may be posted has changed over time.
        if isinstance(each, IntegerField | EmailField) or PARAMETERIZED in each.validators:
            each.run_validators(value)
    except ValidationError as error:
        raise InvalidArchive(f"{name}: {' '.join(error.messages)}") from None
    return value


def _json_type(each: Field[Any, Any]) -> tuple[type, str]:
    """The type that the field's values have in JSON, and its name in an error."""
    if isinstance(each, BooleanField):
        return bool, "true or false"
    return (int, "a whole number") if isinstance(each, IntegerField) else (str, "a string")


def _check_structure(name: str, value: Any) -> None:
    """Pages and the API rely on the structure of what is stored as JSON."""
    match name:
        case "message.data":
            if not isinstance(value, dict):
                raise InvalidArchive(f"{name} must be an object")
        case "message.tags":
            if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
                raise InvalidArchive(f"{name} must be a list of strings")
        case "thread.fields":
            if not isinstance(value, list) or not all(map(_is_thread_field, value)):
                raise InvalidArchive(f"{name} must be a list of objects with label and value")
        case "thread.actions":
            if not isinstance(value, list) or not all(isinstance(action, dict) for action in value):
                raise InvalidArchive(f"{name} must be a list of objects")


def _is_thread_field(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("label", "value"))


_ACTION: TypeAdapter[Any] = TypeAdapter(Action)


def is_action(value: Any) -> bool:
    """Whether `value` could be posted as an action of a thread."""
    try:
        _ACTION.validate_python(value)
    except Invalid:
        return False
    return True


def _to_json(value: Any) -> Any:
    """`value` as a type of JSON. Times keep their microseconds."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


ORGANIZATION = RecordType("organization", Organization, _names("name", "parameterized_name"))
FLOW = RecordType("flow", Flow, _names("id", "name", "parameterized_name"), _names("organization"))
USER = RecordType("user", User, _names("id", "email", "name", "nick"), _names("password", "last_login"))
ORGANIZATION_MEMBER = RecordType("colleague", Membership, _names("user"), _names("id", "organization"))
FLOW_MEMBER = RecordType("member", FlowMembership, _names("user"), _names("id", "flow"))
APPLICATION = RecordType("application", Application, _names("client_id", "name"))
SOURCE = RecordType(
    "source",
    Source,
    _names("id", "application", "name", "token_digest", "created_at"),
    _names("flow"),
    {"application": "application__client_id"},
)
INVITATION = RecordType("invitation", Invitation, _names("email", "token_digest", "created_at"), _names("flow"))
THREAD = RecordType("thread", Thread, _names("id"), _names("flow"))
MESSAGE = RecordType(
    "message", Message, _names("number", "event", "created_at"), _names("id", "flow"), {"parent": "parent__number"}
)
ATTACHMENT = RecordType(
    "attachment",
    Attachment,
    _names("key", "message", "file_name", "content_type", "size"),
    _names("id", "flow", "private_message"),
    {"message": "message__number"},
)
THREAD_MARK = RecordType("mark", ThreadMark, _names("user", "thread"), _names("id"))

# In the order of the file.
RECORD_TYPES = (
    ORGANIZATION, FLOW, USER, ORGANIZATION_MEMBER, FLOW_MEMBER, APPLICATION, SOURCE, INVITATION, THREAD, MESSAGE,
    ATTACHMENT, THREAD_MARK,
)  # fmt: skip
