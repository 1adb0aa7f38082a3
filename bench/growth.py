"""How calls, pages and lists change with a long past: a database that has one, and an almost empty one, in turns.

The almost empty one has just enough rows to fill the pages of all lists: a longer page takes longer, but that is not
growth.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.processes import call, python
from bench.results import Goal, Row, row
from bench.systems import Bridge, Databases

GROWTH = Goal("≤", 1.2)
ONE_PAGE = 200  # rows, more than any list shows at once
# As the Flowdock double of the pages' tests expects it.
FLOWDOCK = {
    "BRIDGE_URL": "http://bridge.test",
    "FLOWDOCK_API_URL": "https://flowdock.test",
    "FLOWDOCK_CLIENT_ID": "bridge",
    "FLOWDOCK_CLIENT_SECRET": "bridge-secret",
}
ALONE = (
    "one integration",
    "1,000 integrations",
    "claim beside a crowd",
    "schedule_stranded",
    "slowest accept meanwhile",
)


def measure(
    folder: Path, databases: Databases, rounds: int, events: int, integrations: int, calls: int
) -> Iterator[Row]:
    """`events` past events of `integrations` integrations; `calls` of each kind are measured in each round."""
    old, empty = (Bridge(folder, databases.create(name), **FLOWDOCK) for name in ("past", "empty"))
    call(python("-m", "bench.past", str(events), str(integrations)), old.env)
    call(python("-m", "bench.past", str(ONE_PAGE), str(ONE_PAGE)), empty.env)
    taken = [[each.run("bench.calls", str(calls)) for each in (empty, old)] for _ in range(rounds)]
    where = databases.name

    def of(key: str, side: int) -> list[float]:
        return [both[side][key] for both in taken]

    for key in taken[0][0]:
        if key not in ALONE:
            yield row(f"{where}, {key}", of(key, 1), of(key, 0), "ms", GROWTH)
    yield row(
        f"{where}, accept at an origin with 1,000 integrations, to one with 1",
        of("1,000 integrations", 0),
        of("one integration", 0),
        "ms",
        GROWTH,
    )
    yield row(
        f"{where}, claim while {50 * calls:,} deliveries wait in another thread",
        of("claim beside a crowd", 0),
        of("claim", 0),
        "ms",
        GROWTH,
    )
    yield row(
        f"{where}, search for stranded threads, {100 * calls:,} deliveries waiting",
        of("schedule_stranded", 1),
        of("schedule_stranded", 0),
        "ms",
    )
    yield row(
        f"{where}, slowest accept meanwhile",
        of("slowest accept meanwhile", 1),
        of("slowest accept meanwhile", 0),
        "ms",
    )
