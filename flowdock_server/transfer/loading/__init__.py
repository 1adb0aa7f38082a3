"""Lines into a flow. The same lines again change nothing; later lines of the same flow add what is new."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import IO, Any
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import storages
from django.core.management.color import no_style
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Model

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
    Tag,
    Thread,
    ThreadMark,
    User,
)
from flowdock_server.parsing.slugs import RESERVED
from flowdock_server.posting import chat_threads, search
from flowdock_server.posting.files import THUMBNAIL_ENDING
from flowdock_server.secrets.tokens import THREAD_ID_LENGTH, digest, new_token
from flowdock_server.transfer import FORMAT, Unfit
from flowdock_server.transfer import untrusted_json as reading
from flowdock_server.transfer.record_types import (
    APPLICATION,
    ATTACHMENT,
    COLLEAGUE,
    FLOW,
    INVITATION,
    MARK,
    MEMBER,
    MESSAGE,
    ORGANIZATION,
    SOURCE,
    THREAD,
    USER,
    Record,
    is_action,
)

BATCH = 500  # messages or threads in one transaction
MAX_WEIGHT = 4 * 1024 * 1024  # bytes of them in memory, about
_THREAD_ID = re.compile(rf"\A[\w-]{{{THREAD_ID_LENGTH}}}\Z", re.ASCII)
_FILE_KEY = re.compile(r"\A[\w-]{16,64}\Z", re.ASCII)
_OF_PERSON = re.compile(r"\A(:(?:user|unread|highlight):)(\d+)\Z")


class Loader:
    """Reads the lines of one flow, in the order of the file.

    `into` names another address than the file's: (organization, flow) as addresses spell them. A flow that is not
    there is made, with its own id where no other flow has it; else threads and files get ids that follow from the
    flow's and their own, so that a second import finds them again. `made` counts what is new, by type of line.

    A file may come from anybody, so it decides about nothing that was here before it. In an organization that is here
    already it makes nobody a member and invites nobody, unless `members` says so, and it never makes an admin there;
    tokens of sources that it adds to a flow that is here open it only with `members`. Passwords of accounts that it
    makes count only with `passwords`. `withheld` counts what was not granted, by type of line.
    """

    def __init__(self, into: tuple[str, str] | None = None, *, members: bool = False, passwords: bool = False) -> None:
        self.into = into
        self.members = members
        self.passwords = passwords
        self.made: Counter[str] = Counter()
        self.withheld: Counter[str] = Counter()
        self._made_organization = False
        self._made_flow = False
        self.organization: Organization | None = None
        self._flow: Flow | None = None
        self._copying = False
        self._users: dict[int, int] = {}
        self._sources: dict[int, int] = {}
        self._applications: dict[str, int] = {}
        # Read, and not stored yet: a message with the number of its parent.
        self._messages: list[tuple[Message, int | None]] = []
        self._threads: list[Thread] = []
        self._weight = 0
        self._file: tuple[str, IO[bytes]] | None = None
        self._ended = False

    @property
    def flow(self) -> Flow:
        if self._flow is None:
            raise Unfit("the line of the flow is missing before this one")
        return self._flow

    @property
    def _grants_access(self) -> bool:
        return self._made_organization or self.members

    def load(self, records: Iterable[Record]) -> Flow:
        """All of `records`, in batches that are each stored whole. Raises Unfit, with the number of the line."""
        readers: dict[str, Callable[[Record], None]] = {
            "export": self._begin, "organization": self._organization, "flow": self._open_flow, "user": self._user,
            "colleague": self._colleague, "member": self._member, "application": self._application,
            "source": self._source, "invitation": self._invitation, "thread": self._thread, "message": self._message,
            "attachment": self._attachment, "bytes": self._bytes, "mark": self._mark, "end": self._end,
        }  # fmt: skip
        try:
            number = 0
            for number, record in enumerate(records, 1):
                with _told_of(number):
                    kind = record.get("type") if isinstance(record, dict) else None
                    if not isinstance(kind, str):
                        raise Unfit("this is not an object with a type")
                    self._weight += reading.weigh(record)
                    self._flush(kind)
                    # A type that a later version has added is left alone.
                    readers.get(kind, lambda record: None)(record)
            if not number:
                raise Unfit("the file is empty")
            with _told_of(number):
                self._flush("")
                if not self._ended:
                    raise Unfit("the file is incomplete: its last line is missing")
        finally:
            if self._file:  # of a line that is unfit, or that was the last of a file cut off
                self._file[1].close()
        self._renew_sequences()
        return self.flow

    # One after the other, as the lines come.

    def _begin(self, record: Record) -> None:
        if record.get("format") != FORMAT:
            raise Unfit(f"the file has format {record.get('format')!r}, but this server reads format {FORMAT}")

    @transaction.atomic
    def _organization(self, record: Record) -> None:
        if self.organization is not None:
            raise Unfit("the file has a second organization, but it must contain one flow only")
        values = ORGANIZATION.values(record, {})
        if self.into and self.into[0] != values["parameterized_name"]:
            # The file's organization is another one: only its name may be taken over.
            values = {"parameterized_name": self.into[0], "name": self.into[0]}
        if values["parameterized_name"] in RESERVED:
            raise Unfit(f"{values['parameterized_name']} is reserved in URLs. Choose another organization with --into")
        self.organization, made = _get_or_make(
            Organization, {"parameterized_name": values.pop("parameterized_name")}, values
        )
        self._made_organization = made
        self.made["organization"] += made

    @transaction.atomic
    def _open_flow(self, record: Record) -> None:
        if self._flow is not None:
            raise Unfit("the file has a second flow, but it must contain only one")
        values = FLOW.values(record, {})
        address = self.into[1] if self.into else values["parameterized_name"]
        organization = self.organization
        if organization is None:
            raise Unfit("the line of the organization is missing before this one")
        here = Flow.objects.filter(organization=organization, parameterized_name=address).first()
        same = Flow.objects.select_related("organization").filter(pk=values["id"]).first()
        if here is None and same is not None and self.into is None:
            raise Unfit(f"the flow already exists at another address: {same.organization.parameterized_name}/"
                        f"{same.parameterized_name}. Use --into with this or another address")  # fmt: skip
        if here is not None and here.pk != values["id"] and self.into is None:
            raise Unfit(f"{organization.parameterized_name}/{address} is another flow. Choose an address with --into")
        if here is None:
            if same is not None:
                del values["id"]
            if Flow.objects.filter(api_token_digest=values.get("api_token_digest") or "-").exists():
                values["api_token_digest"] = None
            if not self._grants_access:
                values["access_mode"] = Flow.AccessMode.INVITATION
            here = Flow.objects.create(**values | {"organization": organization, "parameterized_name": address})
            self._made_flow = True
            self.made["flow"] += 1
        elif here.last_number < values.get("last_number", 0):
            # What is said while this runs gets numbers after those that are still to come.
            Flow.objects.filter(pk=here.pk, last_number__lt=values["last_number"]).update(
                last_number=values["last_number"]
            )
        here.organization = organization
        self._flow, self._copying = here, str(here.pk) != record["id"]

    @transaction.atomic
    def _user(self, record: Record) -> None:
        values = USER.values(record, {})
        email = values.pop("email").strip().lower()
        password = self._password(record)
        user, made = _get_or_make(User, {"email": email}, values | {"password": password or "!"})
        self._users[record["id"]] = user.pk
        self.made["user"] += made
        if made and password is None and "password" in record:
            self.withheld["password"] += 1

    def _password(self, record: Record) -> str | None:
        """What the database keeps of it; None where the file has none, or none is to be taken over."""
        password = record.get("password")
        if password is None or not self.passwords:
            return None
        if not isinstance(password, str) or len(password) > 128:
            raise Unfit("user.password is not a password hash of this server")
        return password

    def _colleague(self, record: Record) -> None:
        values = COLLEAGUE.values(record, {"user": self._person})
        found = {"organization": self.organization, "user_id": values.pop("user_id")}
        if not self._made_organization:
            values["admin"] = False
        self._let_in("colleague", Membership, found, values)

    def _member(self, record: Record) -> None:
        values = MEMBER.values(record, {"user": self._person})
        found = {"flow": self.flow, "user_id": values.pop("user_id")}
        self._let_in("member", FlowMembership, found, values)

    def _let_in(self, kind: str, model: type[Any], found: dict[str, Any], values: dict[str, Any]) -> None:
        if self._grants_access:
            self.made[kind] += model.objects.get_or_create(**found, defaults=values)[1]
        else:
            self.withheld[kind] += not model.objects.filter(**found).exists()

    @transaction.atomic
    def _application(self, record: Record) -> None:
        values = APPLICATION.values(record, {"user": self._person_or_nobody})
        client_id = values.pop("client_id")
        # It acts for nobody who was not asked, and is offered nowhere, until somebody here says so.
        values |= {
            "skip_authorization": False,
            "published": False,
            "client_type": Application.CLIENT_CONFIDENTIAL,
            "authorization_grant_type": Application.GRANT_AUTHORIZATION_CODE,
        }
        application, made = _get_or_make(Application, {"client_id": client_id}, values)
        self._applications[client_id] = application.pk
        self.made["application"] += made

    @transaction.atomic
    def _source(self, record: Record) -> None:
        values = SOURCE.values(record, {"application": self._application_called, "creator": self._person_or_nobody})
        found = {"flow_id": self.flow.pk, "name": values.pop("name"), "created_at": values.pop("created_at")}
        if Source.objects.filter(token_digest=values["token_digest"]).exclude(**found).exists():
            # The token is another source's here, and opens that one's flow.
            values["token_digest"] = digest(new_token())
        is_withheld = not (self._made_flow or self._grants_access or values.get("removed_at"))
        if is_withheld:
            values["token_digest"] = digest(new_token())
        source, made = _get_or_make(Source, found, values)
        self._sources[record["id"]] = source.pk
        self.made["source"] += made
        self.withheld["flow token"] += made and is_withheld

    @transaction.atomic
    def _invitation(self, record: Record) -> None:
        values = INVITATION.values(record, {"invited_by": self._person_or_nobody})
        found = {"flow_id": self.flow.pk, "email": values.pop("email"), "created_at": values.pop("created_at")}
        if not self._grants_access:
            self.withheld["invitation"] += not Invitation.objects.filter(**found).exists()
            return
        if Invitation.objects.filter(token_digest=values["token_digest"]).exclude(**found).exists():
            values["token_digest"] = digest(new_token())
        self.made["invitation"] += _get_or_make(Invitation, found, values)[1]

    @transaction.atomic
    def _attachment(self, record: Record) -> None:
        values = ATTACHMENT.values(record, {"message": self._message_of, "uploaded_by": self._person_or_nobody})
        key = self._key(_file_key(values.pop("key")))
        attachment, made = Attachment.objects.get_or_create(key=key, defaults=values | {"flow": self.flow})
        if attachment.flow_id != self.flow.pk:
            raise Unfit(f"the file {key} belongs to another flow")
        self.made["attachment"] += made
        if made and attachment.message:
            # Its name can be searched for.
            search.add([attachment.message])

    def _bytes(self, record: Record) -> None:
        name, data = reading.text(record.get("key"), "key"), reading.text(record.get("data"), "data")
        _file_key(name.removesuffix(THUMBNAIL_ENDING))
        key = self._key(name)
        if self._file and self._file[0] != key:
            self._keep_file()
        if self._file is None:
            if not Attachment.objects.filter(flow=self.flow, key=key.removesuffix(THUMBNAIL_ENDING)).exists():
                raise Unfit("the attachment of these bytes is missing before this line")
            self._file = key, tempfile.TemporaryFile()  # noqa: SIM115  (_keep_file closes it)
        try:
            self._file[1].write(base64.b64decode(data, validate=True))
        except ValueError:  # also of what is not ASCII
            raise Unfit("the bytes are not valid Base64") from None

    def _mark(self, record: Record) -> None:
        values = MARK.values(record, {"user": self._person, "thread": self._thread_id})
        found = {"user_id": values.pop("user_id"), "thread_id": values.pop("thread_id")}
        if not self.flow.threads.filter(pk=found["thread_id"]).exists():
            raise Unfit(f"the thread {record['thread']} is missing before this line")
        self.made["mark"] += ThreadMark.objects.get_or_create(**found, defaults=values)[1]

    def _end(self, record: Record) -> None:
        # Of a file in which comments are in no thread: one of an older version, or an archive from before 2014.
        chat_threads.gather_comments(self.flow)
        self._ended = True

    # Many at a time. A line is read when it comes, so that what is wrong with it is said of it.

    def _thread(self, record: Record) -> None:
        values = THREAD.values(record, {"id": self._thread_id, "source": self._source_or_none})
        values["actions"] = [action for action in values.get("actions", []) if is_action(action)]
        self._threads.append(Thread(flow=self.flow, **values))

    def _message(self, record: Record) -> None:
        values = MESSAGE.values(
            record,
            {
                "thread": lambda thread: None if thread is None else self._thread_id(thread),
                "source": self._source_or_none,
                "user": self._person_or_nobody,
                "parent": lambda number: None,  # it may be in this batch: see _link_parents
            },
        )
        if values["number"] < 1:
            raise Unfit("message.number must be 1 or more")
        values["tags"] = [self._tag(tag) for tag in values.get("tags", [])]
        parent = record.get("parent")
        parent = None if parent is None else reading.number(parent, "message.parent")
        self._messages.append((Message(flow=self.flow, **values), parent))

    def _flush(self, kind: str) -> None:
        """Store what has been gathered, before a line of another `kind` or when it is a batch."""
        is_heavy = self._weight > MAX_WEIGHT
        if self._threads and (kind != "thread" or is_heavy or len(self._threads) >= BATCH):
            self._store_threads()
            self._threads.clear()
            self._weight = 0
        if self._messages and (kind != "message" or is_heavy or len(self._messages) >= BATCH):
            self._store_messages()
            self._messages.clear()
            self._weight = 0
        if self._file and kind != "bytes":
            self._keep_file()

    @transaction.atomic
    def _store_threads(self) -> None:
        drafts = self._threads
        here = Thread.objects.in_bulk([draft.pk for draft in drafts])
        if strangers := [thread.pk for thread in here.values() if thread.flow_id != self.flow.pk]:
            raise Unfit(f"the thread {strangers[0]} belongs to another flow")
        new = [draft for draft in drafts if draft.pk not in here]
        newer = [draft for draft in drafts if draft.pk in here and draft.updated_at > here[draft.pk].updated_at]
        Thread.objects.bulk_create(new)
        names = [field.name for field in THREAD.fields if field.name not in ("id", "source")]
        Thread.objects.bulk_update(newer, names)
        self.made["thread"] += len(new)

    @transaction.atomic
    def _store_messages(self) -> None:
        # Who posts to the flow at the same time waits, and then sees the numbers that are taken.
        Flow.objects.select_for_update().get(pk=self.flow.pk)
        by_number = {draft.number: draft for draft, _ in self._messages}
        parents = {draft.number: parent for draft, parent in self._messages if parent is not None}
        here = {message.number: message for message in self.flow.messages.filter(number__in=by_number)}
        threads = {draft.thread_id for draft in by_number.values() if draft.thread_id}
        threads -= set(self.flow.threads.filter(pk__in=threads).values_list("pk", flat=True))
        new: list[Message] = []
        edited: list[Message] = []
        replied: list[Message] = []
        for number, draft in by_number.items():
            if draft.thread_id in threads:
                raise Unfit(f"the thread of message {number} is missing before this line")
            if number not in here:
                new.append(draft)
                continue
            present = here[number]
            if (present.event, present.created_at) != (draft.event, draft.created_at):
                raise Unfit(f"the flow has a different message {number}, so this file is an export of another flow")
            if draft.edited_at and _later(draft.edited_at, present.edited_at):
                draft.pk = present.pk
                edited.append(draft)
            if draft.thread_id and present.thread_id is None:
                # It was alone in its thread, which the first reply has stored.
                present.thread_id = draft.thread_id
                replied.append(present)
        Message.objects.bulk_create(new)
        Message.objects.bulk_update(edited, ["content", "data", "tags", "edited_at"])
        Message.objects.bulk_update(replied, ["thread"])
        Tag.objects.filter(message__in=edited).delete()
        self._link_parents(new, parents)
        Tag.objects.bulk_create(
            Tag(message=message, name=name)
            for message in (*new, *edited)
            for name in sorted({str(tag).lower()[:100] for tag in message.tags})
        )
        search.add([*new, *edited])
        highest = max(by_number)
        Flow.objects.filter(pk=self.flow.pk, last_number__lt=highest).update(last_number=highest)
        self.made["message"] += len(new)

    def _link_parents(self, new: list[Message], parents: dict[int, int]) -> None:
        wanted = {message.number: parents[message.number] for message in new if message.number in parents}
        found = dict(self.flow.messages.filter(number__in=set(wanted.values())).values_list("number", "pk"))
        comments = [message for message in new if wanted.get(message.number) in found]
        for comment in comments:
            comment.parent_id = found[wanted[comment.number]]
        Message.objects.bulk_update(comments, ["parent"])

    def _keep_file(self) -> None:
        key, file = self._file  # type: ignore[misc]
        self._file = None
        storage = storages["attachments"]
        with file:
            if not storage.exists(key):
                file.seek(0)
                storage.save(key, File(file))
                self.made["file"] += 1

    # What the file calls a row, and what it is here.

    def _person(self, number: Any) -> int:
        number = reading.number(number, "a person")
        if number not in self._users:
            raise Unfit(f"the user {number} is missing before this line")
        return self._users[number]

    def _person_or_nobody(self, number: Any) -> int | None:
        return None if number is None else self._person(number)

    def _application_called(self, client_id: Any) -> int:
        client_id = reading.text(client_id, "source.application")
        if client_id not in self._applications:
            raise Unfit(f"the application {client_id} is missing before this line")
        return self._applications[client_id]

    def _source_or_none(self, number: Any) -> int | None:
        if number is None:
            return None
        number = reading.number(number, "source")
        if number not in self._sources:
            raise Unfit(f"the source {number} is missing before this line")
        return self._sources[number]

    def _message_of(self, number: Any) -> int | None:
        if number is None:
            return None
        key = self.flow.messages.values_list("pk", flat=True).filter(number=reading.number(number, "message")).first()
        if key is None:
            raise Unfit(f"the message {number} is missing before this line")
        return key

    def _thread_id(self, thread_id: Any) -> str:
        thread_id = reading.text(thread_id, "thread")
        if not self._copying and _THREAD_ID.match(thread_id):
            return thread_id
        return base64.urlsafe_b64encode(self._derived(thread_id)[:20]).decode().rstrip("=")

    def _key(self, key: str) -> str:
        if not self._copying:
            return key
        name, dot, thumbnail = key.partition(".")
        return base64.urlsafe_b64encode(self._derived(name)[:24]).decode() + dot + thumbnail

    def _derived(self, name: str) -> bytes:
        return hashlib.sha256(f"{UUID(str(self.flow.pk))} {name}".encode()).digest()

    def _tag(self, tag: str) -> str:
        """A person may have another number here."""
        if match := _OF_PERSON.match(tag):
            return f"{match[1]}{self._users.get(int(match[2]), match[2])}"
        return tag

    def _renew_sequences(self) -> None:
        """PostgreSQL counts on from its own last number, and rows came with numbers of their own."""
        models: list[type[Model]] = [Organization, User, Application, Source, Invitation]
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), models):
                cursor.execute(statement)


def _get_or_make(model: type[Any], found: dict[str, Any], values: dict[str, Any]) -> tuple[Any, bool]:
    """The row that `found` names; else a new one, which keeps its number where nobody here has it."""
    if row := model.objects.filter(**found).first():
        return row, False
    values = dict(values)
    if model.objects.filter(pk=values.get("id")).exists():
        del values["id"]
    row = model(**found, **values)
    row.save(force_insert=True)
    # Saving puts its own time into some fields, and makes digests of what are digests already.
    model.objects.filter(pk=row.pk).update(**found, **{name: values[name] for name in values if name != "id"})
    return row, True


def _file_key(key: str) -> str:
    """`key`, which names a file in the storage: nothing that leads to another file. Raises Unfit."""
    if not _FILE_KEY.match(key):
        raise Unfit(f"{key!r} is not the key of a file")
    return key


def _later(one: datetime, other: datetime | None) -> bool:
    return other is None or one > other


class _told_of:
    """Says of which line an error speaks: one that the line made, not one of this server's own.

    The database refuses what breaks its constraints, such as the same thread twice.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Unfit | IntegrityError | DataError):
            raise Unfit(f"line {self.number}: {error}") from error
