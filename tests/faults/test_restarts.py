"""What an operator does under load: replace all web processes, run `migrate` again, start a worker too many."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from .bridges import check_all_arrived, running, until
from .receiver import Receiver
from .senders import Senders


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_restarts_and_migrate_under_load_refuse_and_lose_nothing(database: str, tmp_path: Path) -> None:
    with (
        Receiver().running() as receiver,
        running(database, tmp_path, receiver, origins=4, integrations=2, workers=1) as (bridge, created),
    ):
        senders = Senders(bridge.port, bridge.origins, senders=4, pause=0.02)
        with senders.sending(800):
            assert bridge.web
            replaced = set(bridge.web_pids)
            os.kill(bridge.web.pid, signal.SIGHUP)
            until(lambda: replaced.isdisjoint(bridge.web_pids), "other web processes")
            bridge.manage("migrate", "--verbosity", "0")
            os.kill(bridge.workers[0].pid, signal.SIGTERM)
            bridge.start_worker()
            assert bridge.workers.pop(0).wait(30) == 0
            time.sleep(0.5)
        check_all_arrived(bridge, created, receiver, senders)
