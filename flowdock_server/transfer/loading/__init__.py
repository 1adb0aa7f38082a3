"""Import the records of one flow.

context.py   what an import has found and created so far; resolves the file's references to rows of this server
batches.py   records that are stored many at a time
flows.py     the organization and the flow
people.py    users, members, invitations
sources.py   applications and sources
threads.py   threads, and what people marked in them
messages.py  messages
files.py     attachments and their content
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from django.core.management.color import no_style
from django.db import DataError, IntegrityError, connection
from django.db.models import Model

from flowdock_server.models import Application, Flow, Invitation, Organization, Source, User
from flowdock_server.posting import chat_threads
from flowdock_server.transfer import FORMAT, InvalidArchive
from flowdock_server.transfer.record_types import Record

from .batches import Batch
from .context import ImportContext
from .files import ContentBatch, load_attachment
from .flows import load_flow, load_organization
from .messages import MessageBatch
from .people import load_flow_member, load_invitation, load_organization_member, load_user
from .sources import load_application, load_source
from .threads import ThreadBatch, load_thread_mark

_LOADERS: dict[str, Callable[[Record, ImportContext], None]] = {
    "organization": load_organization,
    "flow": load_flow,
    "user": load_user,
    "colleague": load_organization_member,
    "member": load_flow_member,
    "application": load_application,
    "source": load_source,
    "invitation": load_invitation,
    "attachment": load_attachment,
    "mark": load_thread_mark,
}
_BATCHES: tuple[type[Batch], ...] = (ThreadBatch, MessageBatch, ContentBatch)


class Loader:
    """Imports the records of one flow, in the order of the file.

    Importing the same records again changes nothing; records of the same flow that were exported later add what is new.

    `into` is the address to import to, (organization, flow), where it is not the file's. A flow that does not exist is
    created: with its id from the file if no flow has that, else with an id of its own. Then the ids of threads and
    files are derived from the flow's id and theirs in the file, so that a second import finds them again.

    The file is untrusted. In an organization that exists it adds no members or invitations unless `members` is set, and
    never an admin. The tokens of sources that it adds to a flow that exists are replaced unless `members` is set.
    Passwords of accounts that it creates are kept only with `passwords`.

    `created` counts the new rows and `withheld` the access that was not granted, each by type of record.
    """

    def __init__(self, into: tuple[str, str] | None = None, *, members: bool = False, passwords: bool = False) -> None:
        self._context = ImportContext(into, members=members, passwords=passwords)
        self._batches = {batch.type_name: batch(self._context) for batch in _BATCHES}
        self._is_complete = False

    @property
    def created(self) -> Counter[str]:
        return self._context.created

    @property
    def withheld(self) -> Counter[str]:
        return self._context.withheld

    def load(self, records: Iterable[Record]) -> Flow:
        """Import `records`; each batch is stored in one transaction. Raises InvalidArchive, with the line's number."""
        number = 0
        try:
            for number, record in enumerate(records, 1):
                with _error_location(number):
                    self._load(record)
            if not number:
                raise InvalidArchive("the file is empty")
            with _error_location(number):
                self._flush()
                if not self._is_complete:
                    raise InvalidArchive("the file ends here without its end record, so it was cut off")
        finally:
            for batch in self._batches.values():
                batch.close()
        _reset_sequences()
        return self._context.flow

    def _load(self, record: Record) -> None:
        type_name = record.get("type") if isinstance(record, dict) else None
        if not isinstance(type_name, str):
            raise InvalidArchive("this is not an object with a type")
        self._flush(but=type_name)
        if type_name in self._batches:
            self._batches[type_name].add(record)
        elif type_name in _LOADERS:
            _LOADERS[type_name](record, self._context)
        elif type_name == "export":
            _check_format(record)
        elif type_name == "end":
            # For files in which comments are in no thread: of an older version, or an archive from before 2014.
            chat_threads.store_threads_of_comments(self._context.flow)
            self._is_complete = True
        # Other types are of a later version, and are ignored.

    def _flush(self, but: str = "") -> None:
        """Store the batches, except one of type `but` that is not full: the next record belongs to it."""
        for type_name, batch in self._batches.items():
            if type_name != but or batch.is_full:
                batch.flush()


@contextmanager
def _error_location(number: int) -> Iterator[None]:
    """Adds the number of the line to the errors that the file can cause.

    Besides InvalidArchive these are the database's errors for data that breaks a constraint, such as the same thread
    twice. No other error is caught: it would be a bug or a failure of this server.
    """
    try:
        yield
    except InvalidArchive as error:
        raise InvalidArchive(f"line {number}: {error}") from error
    except (IntegrityError, DataError) as error:
        raise InvalidArchive(f"line {number}: the database refused it: {error}") from error


def _check_format(record: Record) -> None:
    if record.get("format") != FORMAT:
        raise InvalidArchive(
            f"the file has format {record.get('format')!r}, and this server reads only format {FORMAT}. "
            "Import it with a newer version"
        )


def _reset_sequences() -> None:
    """Rows were created with ids from the file, which PostgreSQL's sequences would hand out again."""
    models: list[type[Model]] = [Organization, User, Application, Source, Invitation]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
