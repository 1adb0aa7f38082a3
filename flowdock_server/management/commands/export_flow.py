"""Export a flow."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from flowdock_server.management import lookups
from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.transfer import export

EXAMPLE = """
Examples:
  python -m flowdock_server export_flow acme/main --output main.jsonl.gz
  python -m flowdock_server export_flow acme/main | ssh other.example python -m flowdock_server import_flow -

The file contains a snapshot of the flow: its people, sources, invitations, threads, messages, files, and read marks.
People can post during the export. Private conversations are not included. Tokens and secrets are included as digests
only, and passwords only with --passwords. Since the file contains all messages, protect it like the database.

Exit codes:
  0  exported
  1  the flow does not exist, or the file cannot be written
  2  wrong arguments
"""


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Export a flow and everything in it to a file of JSON lines, for import_flow."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("flow", type=lookups.flow_address, metavar="ORGANIZATION/FLOW", help="Flow to export.")
        parser.add_argument(
            "--output",
            default="-",
            metavar="FILE",
            help="File to write, compressed if its name ends with .gz (default: standard output).",
        )
        parser.add_argument("--no-files", action="store_true", help="Leave out the contents of files.")
        parser.add_argument(
            "--passwords",
            action="store_true",
            help="Include password hashes, so that people keep their passwords. Weak ones can be guessed from them.",
        )

    def handle(self, *, flow: tuple[str, str], output: str, no_files: bool, passwords: bool, **options: Any) -> None:
        found = lookups.flow(*flow)
        written = 0
        try:
            with _opened(output) as file, tqdm(unit="record", disable=None, leave=False) as bar:
                for record in export.records(found, passwords=passwords, files=not no_files):
                    file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
                    written += record["type"] == "message"
                    bar.update()
        except OSError as error:
            name = "Standard output" if output == "-" else output
            raise CommandError(f"{error.filename or name}: {error.strerror or error}") from error
        if output != "-":
            messages = f"{written} message{'' if written == 1 else 's'}"
            self.stdout.write(f"Exported {'/'.join(flow)} with {messages} to {output}")


@contextmanager
def _opened(output: str) -> Iterator[IO[str]]:
    """Open the file for writing. It gets its name only when it is complete, and only its owner can read it."""
    if output == "-":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        yield sys.stdout
        return
    path = Path(output)
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb") as raw:
            binary: Any = gzip.GzipFile(fileobj=raw, mode="wb") if path.suffix == ".gz" else raw
            with io.TextIOWrapper(binary, encoding="utf-8", newline="\n") as file:
                yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
