"""Measure this machine's bridge beside its limits: `python -m bench [PART ...]`. Nothing else should run meanwhile."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import accept, delivering, growth, latency, peers, results
from bench.processes import Failed, call, python
from bench.results import Results, Row, not_measured, table
from bench.systems import Databases, SQLite, postgresql

HERE = Path(__file__).parent
POSTGRESQL = "postgres://postgres@127.0.0.1:5432/postgres"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: {', '.join(DEFAULT)})")
    parser.add_argument("--seconds", type=float, default=2.0, help="the length of each load (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="web processes (default: %(default)s)")
    parser.add_argument("--connections", type=numbers, default=accept.CONNECTIONS, help="default: 1,8,32")
    parser.add_argument(
        "--databases", type=lambda text: text.split(","), default=["sqlite", "postgresql"], help="default: both"
    )
    parser.add_argument(
        "--postgresql",
        default=os.environ.get("TEST_POSTGRESQL_URL", POSTGRESQL),
        help="a server on which databases can be created (default: TEST_POSTGRESQL_URL, or %(default)s)",
    )
    parser.add_argument("--deliveries", type=int, default=1000, help="deliver: activities in a round")
    parser.add_argument("--interval", type=float, default=0.3, help="latency: seconds between single events")
    parser.add_argument("--idle", type=int, default=latency.IDLE, help="latency: the number of single events")
    parser.add_argument("--events", type=int, default=100_000, help="growth: past events (default: %(default)s)")
    parser.add_argument(
        "--integrations", type=int, default=1000, help="growth: past integrations (default: %(default)s)"
    )
    parser.add_argument("--calls", type=int, default=100, help="growth: calls of each kind (default: %(default)s)")
    parser.add_argument("--messages", type=int, default=100_000, help="server: past messages (default: %(default)s)")
    parser.add_argument("--pages", default="pri", help="server: p, posting; r, reading; i, pages (default: pri)")
    parser.add_argument("--label", default="", help="keep the figures under this name, beside those without one")
    parser.add_argument("--results", type=Path, default=HERE, help="the folder to write to (default: bench)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    kept = Results(options.results)
    for name in options.parts or DEFAULT:
        title, measure, shown = PARTS[name]
        chosen = {each: getattr(options, each) for each in shown}
        facts = results.facts(os.getloadavg()[0], **chosen)
        began = time.monotonic()
        rows = list(measure(options))
        title = f"{title}, {options.label}" if options.label else title
        kept.put(title, rows, facts)
        print(f"\n{title} ({time.monotonic() - began:.0f} s)\n\n{table(rows)}", flush=True)


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def each_database(options: argparse.Namespace, measure: Callable[[Path, Databases], Iterator[Row]]) -> Iterator[Row]:
    """The rows of both databases; one that is not there, or a part that fails, says so in a row."""
    if "sqlite" in options.databases:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            yield from rows_or_reason("SQLite", lambda: measure(Path(folder), SQLite(Path(folder))))
    if "postgresql" in options.databases:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            try:
                server = stack.enter_context(postgresql(options.postgresql))
            except OSError as error:
                yield not_measured("PostgreSQL", error)
                return
            yield from rows_or_reason("PostgreSQL", lambda: measure(Path(folder), server))


def rows_or_reason(name: str, measure: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    try:
        yield from measure()
    except Failed as error:
        yield not_measured(name, error)


def accepting(options: argparse.Namespace) -> Iterator[Row]:
    yield from each_database(
        options,
        lambda folder, databases: accept.measure(
            folder, databases, options.seconds, options.rounds, options.processes, options.connections
        ),
    )
    yield from accept.load_generator(options.seconds, options.connections, dict(os.environ))


def deliver(options: argparse.Namespace) -> Iterator[Row]:
    yield from each_database(
        options,
        lambda folder, databases: delivering.measure(folder, databases, options.rounds, options.deliveries),
    )


def waiting(options: argparse.Namespace) -> Iterator[Row]:
    yield from each_database(
        options,
        lambda folder, databases: latency.measure(folder, databases, options.seconds, options.interval, options.idle),
    )


def growing(options: argparse.Namespace) -> Iterator[Row]:
    yield from each_database(
        options,
        lambda folder, databases: growth.measure(
            folder, databases, options.rounds, options.events, options.integrations, options.calls
        ),
    )


def serving(options: argparse.Namespace) -> Iterator[Row]:
    """The bundled Flowdock server by itself. It has settings of its own, so it is measured in a process of its own."""

    def measure(folder: Path, databases: Databases) -> Iterator[Row]:
        database = "" if databases.name == "SQLite" else databases.create("flowdock")
        arguments = [str(options.messages), str(options.seconds), database, options.pages]
        printed = call(python("-m", "bench.server", *arguments), dict(os.environ))
        for name, text in json.loads(printed.splitlines()[-1]):
            yield Row(f"{databases.name}, {name}", text=text)

    yield from each_database(options, measure)


def posting(options: argparse.Namespace) -> Iterator[Row]:
    """Posts to the bundled Flowdock server, beside a bare view on the same web server."""

    def measure(folder: Path, databases: Databases) -> Iterator[Row]:
        database = [] if databases.name == "SQLite" else ["--database", databases.create("posting")]
        asked = ["--json", "--seconds", str(options.seconds), "--rounds", str(options.rounds), *database]
        printed = call(python("-m", "bench.posting", *asked), dict(os.environ))
        for what, rounds in json.loads(printed.splitlines()[-1]).items():
            ours, limit = rounds["server"], rounds.get("bare view")
            for key, name, unit in accept.FIGURES:
                figures = [[each[key] for each in side] for side in (ours, limit) if side]
                yield results.row(f"{databases.name}, {what}: {name.replace('accepts', 'posts')}", *figures, unit=unit)

    yield from each_database(options, measure)


def beside_celery(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgresql(options.postgresql))
            yield from peers.measure(Path(folder), server, options.seconds, options.rounds, options.processes)
        except (OSError, Failed) as error:
            yield not_measured("Celery", error)


PARTS: dict[str, tuple[str, Callable[[argparse.Namespace], Iterator[Row]], list[str]]] = {
    # its title, what measures it, and its options
    "accept": ("Accepting webhook requests", accepting, ["seconds", "rounds", "processes"]),
    "deliver": ("Delivering", deliver, ["rounds", "deliveries"]),
    "latency": ("From hook to inbox, start and memory", waiting, ["seconds", "interval", "idle"]),
    "growth": ("Growth", growing, ["rounds", "events", "integrations", "calls"]),
    "celery": ("Beside a Celery task for each event", beside_celery, ["seconds", "rounds", "processes"]),
    "posting": ("Posting to the Flowdock server", posting, ["seconds", "rounds"]),
    "server": ("The Flowdock server", serving, ["seconds", "messages"]),
}
DEFAULT = ("accept", "deliver", "latency", "growth", *(["celery"] if os.environ.get("CELERY") else []))


if __name__ == "__main__":
    main()
