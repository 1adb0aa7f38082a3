"""A worker that is killed during deliveries loses and repeats nothing in the inbox."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from demo import connect
from demo.replay import DAY
from tests.stack import running, until

from .flow import Flow

pytestmark = pytest.mark.loop


def test_killed_worker_loses_and_repeats_nothing(tmp_path: Path) -> None:
    # A killed worker's lease expires after twice the timeout plus five seconds. It is short to keep the test short.
    with running(tmp_path, FLOWDOCK_TIMEOUT="1") as stack:
        hook = connect.connect(stack.env)
        replaying = threading.Thread(target=stack.manage, args=("replay", hook, str(DAY)), kwargs={"check": False})
        replaying.start()
        flow = Flow(stack)
        for _ in range(3):
            until(lambda: stack.manage("deliver_activities", "--dry-run").stdout[:2] != "0 " or flow.threads(), "work")
            stack.stop("worker", by=signal.SIGKILL)
            stack.start("worker")
            time.sleep(0.3)
        replaying.join()
        until(lambda: stack.manage("deliver_activities", "--dry-run").stdout.startswith("0 "), "an empty outbox")
        log = stack.manage("replay", hook, str(DAY)).stdout
        posted = int(next(line for line in log.splitlines() if "posted" in line).split()[0])

        told = [message for thread in flow.get("/threads", limit=100) for message in flow.messages(thread)]

    assert len({message["uuid"] for message in told}) == len(told), "nothing is there twice"
    assert len(told) == 2 * posted, "both days are there, whole"
