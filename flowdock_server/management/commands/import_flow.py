"""Import a flow."""

from __future__ import annotations

import argparse
import gzip
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from flowdock_server.management import lookups
from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.transfer import InvalidArchive, untrusted_json
from flowdock_server.transfer.archive import FlowdockArchive
from flowdock_server.transfer.loading import Loader
from flowdock_server.transfer.record_types import Record

MAX_USERS = 32 * 1024 * 1024  # bytes of --users

# What people call the types of records whose names in the file say too little.
LABELS = {"colleague": "organization member", "member": "flow member", "mark": "thread mark"}

EXAMPLE = """
Import a file of export_flow, compressed or not, under its original URL or another one:

  python -m flowdock_server import_flow main.jsonl.gz
  python -m flowdock_server import_flow main.jsonl.gz --into acme/copy-of-main

Import an archive that was downloaded from Flowdock: a zip file, its unpacked folder, or its messages.json. An archive
contains neither the name of the flow nor those of its people, only numbers. Give the names in --users, as the list of
users from Flowdock's API:

  python -m flowdock_server import_flow main-2023-08-01.zip --into acme/main --users users.json --members

Importing the same file again changes nothing. A later export of the same flow adds what is new. If an import was
interrupted, run it again.

An import grants nobody access to existing organizations and flows: without --members, members, invitations and flow
tokens are imported only into an organization or flow that the import creates. To make somebody an admin of an existing
organization, use create_user --admin --exist-ok. New accounts cannot sign in without --passwords. Imported applications
are not published.

Exit codes:
  0  imported; access that was not granted is printed
  1  the file cannot be imported, or not into this flow; the reason and the line are printed
  2  wrong arguments
"""


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Import a flow from a file of export_flow or from an archive that was downloaded from Flowdock."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("file", help="File, unpacked folder of an archive, or - for standard input.")
        parser.add_argument(
            "--into",
            type=lookups.flow_address,
            metavar="ORGANIZATION/FLOW",
            help="Flow to import into (default: its original one). It is created if it does not exist.",
        )
        parser.add_argument("--users", metavar="FILE", help="For an archive: list of users from Flowdock's API.")
        parser.add_argument(
            "--members",
            action="store_true",
            help="Add the members, invitations and flow tokens of the file to an existing organization or flow. For an "
            "archive: add the people in --users who have posted.",
        )
        parser.add_argument(
            "--passwords", action="store_true", help="Give new accounts the passwords that the file has for them."
        )

    def handle(
        self,
        *,
        file: str,
        into: tuple[str, str] | None,
        users: str | None,
        members: bool,
        passwords: bool,
        **options: Any,
    ) -> None:
        loader = Loader(into, members=members, passwords=passwords)
        archive = None
        try:
            if file != "-" and _is_archive(Path(file)):
                if into is None:
                    raise CommandError(
                        "An archive does not contain the name of its flow. Give it with --into", returncode=2
                    )
                archive = FlowdockArchive(Path(file), into, _users(users), members=members)
                records = archive.records()
            elif users:
                raise CommandError("--users can only be used with an archive from Flowdock", returncode=2)
            else:
                records = _records(file)
            flow = loader.load(tqdm(_readable(records, file), unit="record", disable=None, leave=False))
        except InvalidArchive as error:
            name = "Standard input" if file == "-" else file
            advice = ". Everything before it was imported. Fix it and run this again" if loader.created.total() else ""
            raise CommandError(f"{name}: {str(error).removesuffix('.')}{advice}") from error
        except OSError as error:
            name = error.filename or "The storage of files"
            raise CommandError(f"{name} cannot be written: {error.strerror or error}") from error
        self.stdout.write(f"Imported into {flow.web_url}: {_counts(loader.created) or 'nothing new'}")
        if withheld := _counts(loader.withheld):
            self.stdout.write(f"Access not granted: {withheld}. To grant it, use --members or --passwords: see --help")
        if archive and archive.skipped:
            self.stdout.write(f"Left out {_count(archive.skipped.total(), 'message')} that only client programs use")
        if archive and archive.links:
            self.stdout.write(f"Left out {_count(archive.links, 'symbolic or hard link')} in the folder")


def _counts(counter: Counter[str]) -> str:
    """1 user, 3 messages."""
    return ", ".join(_count(count, LABELS.get(name, name)) for name, count in counter.items() if count)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _is_archive(path: Path) -> bool:
    try:
        if path.is_dir() or zipfile.is_zipfile(path):
            return True
        with path.open("rb") as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _users(name: str | None) -> list[dict[str, Any]]:
    """The users in a file: a list of the API's user objects, or an object with such a list in `users`, like a flow."""
    if name is None:
        return []
    try:
        with Path(name).open("rb") as file:
            content = file.read(MAX_USERS + 1)
    except OSError as error:
        raise _unreadable(name, error) from error
    if len(content) > MAX_USERS:
        raise CommandError(f"{name} is larger than {MAX_USERS} bytes", returncode=2)
    try:
        value = untrusted_json.parse(content)
    except InvalidArchive as error:
        raise CommandError(f"{name}: {error}", returncode=2) from error
    users = value.get("users") if isinstance(value, dict) else value
    if not isinstance(users, list) or not all(isinstance(user, dict) and "id" in user for user in users):
        raise CommandError(f"{name} is not a list of users from Flowdock's API", returncode=2)
    return users


def _records(name: str) -> Iterator[Record]:
    with ExitStack() as stack:
        file: Any = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        if file.peek(2)[:2] == b"\x1f\x8b":
            file = stack.enter_context(gzip.open(file))
        try:
            for number, line in enumerate(untrusted_json.read_lines(file), 1):
                try:
                    yield untrusted_json.parse(line)
                except InvalidArchive as error:
                    raise InvalidArchive(f"line {number}: {error}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise InvalidArchive("the compressed file is damaged or was cut off") from None


def _readable(records: Iterable[Record], name: str) -> Iterator[Record]:
    """`records`, with an error if the file cannot be read. Errors while records are stored are not raised in here."""
    try:
        yield from records
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> CommandError:
    return CommandError(f"{error.filename or name} cannot be read: {error.strerror or error}")
