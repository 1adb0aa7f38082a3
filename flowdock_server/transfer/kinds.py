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
from django.db.models import CharField, F, Field, ForeignKey, IntegerField, Model, QuerySet

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

from . import Unfit

Record = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One type of line.

    `name` is its `type`. Fields in `left_out` are not in the file. `known_by` tells, for a foreign key, the path to
    what the file calls the row it points to; a foreign key that is in neither has its id there.
    """

    name: str
    model: type[Model]
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

        A field that the line lacks, as one of an older version does, has its default. Raises Unfit.
        """
        values: dict[str, Any] = {}
        for each in self.fields:
            if each.name not in record:
                continue
            value = record[each.name]
            if each.name in resolve:
                value = resolve[each.name](value)
            elif not isinstance(each, ForeignKey):
                value = self._read(each, value)
            values[each.attname] = value
        return values

    def _read(self, each: Field, value: Any) -> Any:
        if value is None and not each.null:
            raise Unfit(f"{self.name}.{each.name} is null")
        try:
            value = each.to_python(value)
            if isinstance(each, IntegerField):
                each.run_validators(value)  # of numbers that are too large
        except ValidationError as error:
            raise Unfit(f"{self.name}.{each.name}: {' '.join(error.messages)}") from None
        if isinstance(each, CharField) and value is not None and len(value) > (each.max_length or len(value)):
            raise Unfit(f"{self.name}.{each.name} is longer than {each.max_length} characters")
        if each.choices and value and value not in dict(each.flatchoices):
            raise Unfit(f"{self.name}.{each.name} is {value!r}, which this server does not know")
        if not is_storable(value):
            raise Unfit(f"{self.name}.{each.name} has a character that cannot be stored")
        return value


def is_storable(value: Any) -> bool:
    """Whether all its texts can be stored: PostgreSQL takes no NUL, and nothing takes half of a character."""
    if isinstance(value, str):
        try:
            return b"\0" not in value.encode()
        except UnicodeEncodeError:
            return False
    if isinstance(value, dict):
        return all(is_storable(name) and is_storable(part) for name, part in value.items())
    return all(map(is_storable, value)) if isinstance(value, list) else True


def _plain(value: Any) -> Any:
    """As JSON has it. Times keep their microseconds."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


ORGANIZATION = Kind("organization", Organization)
FLOW = Kind("flow", Flow, frozenset({"organization"}))
USER = Kind("user", User, frozenset({"password", "last_login"}))
COLLEAGUE = Kind("colleague", Membership, frozenset({"id", "organization"}))
MEMBER = Kind("member", FlowMembership, frozenset({"id", "flow"}))
APPLICATION = Kind("application", Application)
SOURCE = Kind("source", Source, frozenset({"flow"}), {"application": "application__client_id"})
INVITATION = Kind("invitation", Invitation, frozenset({"flow"}))
THREAD = Kind("thread", Thread, frozenset({"flow"}))
MESSAGE = Kind("message", Message, frozenset({"id", "flow"}), {"parent": "parent__number"})
ATTACHMENT = Kind("attachment", Attachment, frozenset({"id", "flow"}), {"message": "message__number"})
MARK = Kind("mark", ThreadMark, frozenset({"id"}))

# In the order of the file.
KINDS = (
    ORGANIZATION, FLOW, USER, COLLEAGUE, MEMBER, APPLICATION, SOURCE, INVITATION, THREAD, MESSAGE, ATTACHMENT, MARK,
)  # fmt: skip
