"""What an import has found and created so far, and how the file's references become rows of this server."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from typing import Any, NoReturn
from uuid import UUID

from flowdock_server.models import Flow, Organization
from flowdock_server.secrets.tokens import THREAD_ID_LENGTH
from flowdock_server.transfer import InvalidArchive, untrusted_json

_THREAD_ID = re.compile(rf"\A[\w-]{{{THREAD_ID_LENGTH}}}\Z", re.ASCII)
_USER_TAG = re.compile(r"\A(:(?:user|unread|highlight):)(\d+)\Z")


class ImportContext:
    """The options of an import, its organization and flow, and the rows that its records became.

    `users`, `sources` and `applications` map what the file calls a row to its id here. `is_copy`: the flow has another
    id than in the file.
    """

    def __init__(self, into: tuple[str, str] | None, *, members: bool, passwords: bool) -> None:
        self.into = into
        self.members = members
        self.passwords = passwords
        self.created: Counter[str] = Counter()
        self.withheld: Counter[str] = Counter()
        self.organization: Organization | None = None
        self.created_organization = False
        self.created_flow = False
        self.is_copy = False
        self.users: dict[int, int] = {}
        self.sources: dict[int, int] = {}
        self.applications: dict[str, int] = {}
        self._flow: Flow | None = None

    @property
    def has_flow(self) -> bool:
        return self._flow is not None

    @property
    def flow(self) -> Flow:
        if self._flow is None:
            raise InvalidArchive("the flow's record must come first")
        return self._flow

    @flow.setter
    def flow(self, flow: Flow) -> None:
        self._flow = flow

    @property
    def grants_access(self) -> bool:
        """Whether the file decides who is a member: of an organization that it created, or if the operator says so."""
        return self.created_organization or self.members

    # Each resolves what the file calls a row, and raises InvalidArchive where no earlier record defines it.

    def user(self, number: Any) -> int:
        number = untrusted_json.number(number, "a user")
        if number not in self.users:
            raise_undefined("user", number)
        return self.users[number]

    def optional_user(self, number: Any) -> int | None:
        return None if number is None else self.user(number)

    def application(self, client_id: Any) -> int:
        client_id = untrusted_json.text(client_id, "source.application")
        if client_id not in self.applications:
            raise_undefined("application", client_id)
        return self.applications[client_id]

    def optional_source(self, number: Any) -> int | None:
        if number is None:
            return None
        number = untrusted_json.number(number, "source")
        if number not in self.sources:
            raise_undefined("source", number)
        return self.sources[number]

    def optional_message(self, number: Any) -> int | None:
        if number is None:
            return None
        number = untrusted_json.number(number, "message")
        pk = self.flow.messages.values_list("pk", flat=True).filter(number=number).first()
        if pk is None:
            raise_undefined("message", number)
        return pk

    # Ids that are unique on the whole server: a copy of a flow gets new ones, the same at each import.

    def thread_id(self, thread_id: Any) -> str:
        name = untrusted_json.text(thread_id, "thread")
        if not self.is_copy and _THREAD_ID.match(name):
            return name
        return base64.urlsafe_b64encode(self._derived_id(name)[:20]).decode().rstrip("=")

    def optional_thread_id(self, thread_id: Any) -> str | None:
        return None if thread_id is None else self.thread_id(thread_id)

    def storage_key(self, key: str) -> str:
        if not self.is_copy:
            return key
        name, dot, ending = key.partition(".")
        return base64.urlsafe_b64encode(self._derived_id(name)[:24]).decode() + dot + ending

    def _derived_id(self, name: str) -> bytes:
        return hashlib.sha256(f"{UUID(str(self.flow.pk))} {name}".encode()).digest()

    def tag(self, tag: str) -> str:
        """`tag`; one that names a user by id gets the user's id here."""
        if match := _USER_TAG.match(tag):
            return f"{match[1]}{self.users.get(int(match[2]), match[2])}"
        return tag


def raise_undefined(kind: str, name: object) -> NoReturn:
    raise InvalidArchive(f"it refers to {kind} {name}, which no earlier line defines")
