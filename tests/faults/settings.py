"""How long these tests run and how much goes wrong, by environment variables: see CONTRIBUTING.md."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

SOAK = float(os.environ.get("SOAK", "0"))  # minutes, for each database
EVENTS = int(os.environ.get("FAULTS_EVENTS", "10000" if SOAK else "2000"))
KILLS = int(os.environ.get("FAULTS_KILLS", str(EVENTS // 100)))
FAULT_RATE = float(os.environ.get("FAULTS_RATE", "0.03"))  # of what the receiver is sent
SEED = int(os.environ.get("FAULTS_SEED", str(random.randrange(10**6))))


def rounds() -> Iterator[int]:
    """A seed for each round: one, or as many as SOAK minutes have time for."""
    began, seed = time.monotonic(), SEED
    yield seed
    while time.monotonic() - began < SOAK * 60:
        seed += 1
        yield seed
