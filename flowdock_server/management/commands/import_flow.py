"""Read a flow from a file."""

from __future__ import annotations

import argparse
import gzip
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from flowdock_server.management import lookups
from flowdock_server.transfer import Unfit, reading
from flowdock_server.transfer.archive import Archive
from flowdock_server.transfer.kinds import Record
from flowdock_server.transfer.load import Loader

MAX_USERS = 32 * 1024 * 1024  # bytes of --users

EXAMPLE = """
A file of export_flow, compressed or not, comes back under the address that it had, or under another one:

  python -m flowdock_server import_flow main.jsonl.gz
  python -m flowdock_server import_flow main.jsonl.gz --into acme/copy-of-main

An archive that Flowdock let people download is a zip for each flow (its folder or its messages.json will do). It names
neither the flow nor the people, only their numbers; save the API's list of an organization's users for the names:

  python -m flowdock_server import_flow main-2023-08-01.zip --into acme/main --users users.json --members

The same file again changes nothing, and a later one of the same flow adds what is new. Run an import again that broke
off.

A file gives nobody access to what is on this server. Members, invitations and flow tokens count without further ado
only in an organization or flow that this import creates. In one that exists, --members adds them. Admins of an existing
organization are made by `create_user --admin --exist-ok`. Nobody can sign in by an import, unless --passwords says that
the passwords in the file count. Applications of the file are not published.

Exit codes:
  0  all of it is imported; what access was not granted is printed
  1  it cannot be imported, or not into this flow: what is wrong is said, and where
  2  wrong arguments
"""


class Command(BaseCommand):
    help = "Read a flow from a file of export_flow, or from an archive of Flowdock's."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("file", help="The file, the unpacked folder of an archive, or - for standard input.")
        parser.add_argument(
            "--into",
            type=lookups.flow_address,
            metavar="ORGANIZATION/FLOW",
            help="Where to (default: where it came from). What is not there is made.",
        )
        parser.add_argument("--users", metavar="FILE", help="For an archive: who is who, as the API lists users.")
        parser.add_argument(
            "--members",
            action="store_true",
            help="Add the members, invitations and flow tokens of the file to an existing organization or flow. For an "
            "archive: add those who spoke and are in --users.",
        )
        parser.add_argument(
            "--passwords", action="store_true", help="New accounts keep the passwords that the file has for them."
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
                    raise CommandError("An archive does not say which flow it is of: name it with --into", returncode=2)
                archive = Archive(Path(file), into, _people(users), members=members)
                records = archive.records()
            elif users:
                raise CommandError("--users is for archives of Flowdock's", returncode=2)
            else:
                records = _lines(file)
            flow = loader.load(tqdm(records, unit="line", disable=None, leave=False))
        except Unfit as error:
            again = ". What was stored before it stays: run this again once it is mended" if loader.made.total() else ""
            name = "standard input" if file == "-" else file
            raise CommandError(f"{name}: {str(error).removesuffix('.')}{again}") from None
        except OSError as error:
            raise CommandError(f"{error.filename or file} cannot be read: {error.strerror or error}") from None
        made = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in loader.made.items() if count)
        self.stdout.write(f"{flow.web_url}: {made or 'nothing'} new")
        if withheld := +loader.withheld:
            counts = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in withheld.items())
            self.stdout.write(f"Access not granted: {counts}. --members and --passwords grant it: see --help")
        if archive and archive.left_out:
            self.stdout.write(f"{archive.left_out.total()} messages that only clients read are left out")
        if archive and archive.links:
            self.stdout.write(f"{archive.links} links in the folder are left out: they may lead out of it")


def _is_archive(path: Path) -> bool:
    if path.is_dir() or zipfile.is_zipfile(path):
        return True
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _people(name: str | None) -> list[dict[str, Any]]:
    """A list of the API's user objects, or an object that has it as `users`, as one of a flow does."""
    if name is None:
        return []
    with Path(name).open("rb") as file:
        told = file.read(MAX_USERS + 1)
    if len(told) > MAX_USERS:
        raise CommandError(f"{name} is larger than {MAX_USERS} bytes", returncode=2)
    try:
        value = reading.parse(told)
    except Unfit as error:
        raise CommandError(f"{name}: {error}", returncode=2) from None
    people = value.get("users") if isinstance(value, dict) else value
    if not isinstance(people, list) or not all(isinstance(each, dict) and "id" in each for each in people):
        raise CommandError(f"{name} is no list of users as the API has it", returncode=2)
    return people


def _lines(name: str) -> Iterator[Record]:
    with ExitStack() as stack:
        file: Any = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        if file.peek(2)[:2] == b"\x1f\x8b":
            file = stack.enter_context(gzip.open(file))
        try:
            for number, line in enumerate(reading.lines(file), 1):
                try:
                    yield reading.parse(line)
                except Unfit as error:
                    raise Unfit(f"line {number}: {error}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Unfit("the compressed file is damaged or was cut off") from None
