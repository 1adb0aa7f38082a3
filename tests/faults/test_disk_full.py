"""No space is left for SQLite's files: web answers 503, and goes on when there is space again."""

from __future__ import annotations

import resource
from pathlib import Path

from bench.processes import tree

from .bridges import Bridge, check_all_arrived, running, until
from .receiver import Receiver
from .senders import Senders


def limit_files(bridge: Bridge, soft: int) -> None:
    """No file may grow beyond so many bytes, for all processes of the bridge; -1: they may again."""
    assert bridge.web
    for process in [bridge.web, *bridge.workers]:
        for pid in tree(process.pid):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def test_full_disk_refuses_events_and_loses_none(tmp_path: Path) -> None:
    with (
        Receiver().running() as receiver,
        running("sqlite", tmp_path, receiver, origins=2, integrations=2, workers=2) as (bridge, created),
    ):
        senders = Senders(bridge.port, bridge.origins, senders=4)
        with senders.sending(100):
            pass
        for _ in range(2):
            with senders.sending(200):
                refused = senders.answers[503]
                limit_files(bridge, 64 * 1024)
                until(lambda refused=refused: senders.answers[503] >= refused + 20, "webhooks to be refused")
                limit_files(bridge, resource.RLIM_INFINITY)
        check_all_arrived(bridge, created, receiver, senders)
