"""Recorded days, one folder for each service, sent to a webhook address with the bridge's `replay` command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.environment import ROOT

HERE = Path(__file__).resolve().parent
# Exit code of `replay` if the integration was removed, or the webhook is not in this database.
NO_HOOK = 4


@dataclass(frozen=True, slots=True)
class Day:
    """A day of events at `origin` of `service`: the payloads in `folder`, in the order of their names."""

    service: str
    origin: str
    folder: Path


def days() -> list[Day]:
    """The days in the folders beside this file; `origin.txt` in each folder names the origin."""
    return [Day(file.parent.name, file.read_text().strip(), file.parent) for file in sorted(HERE.glob("*/origin.txt"))]


def day_of(service: str) -> Day:
    return next(day for day in days() if day.service == service)


DAY = day_of("github").folder


def replay(env: Mapping[str, str], hook: str, folder: Path) -> int:
    """Run the command, which prints its results, and return its exit code."""
    return subprocess.run(
        [sys.executable, "manage.py", "replay", hook, str(folder.resolve())], cwd=ROOT, env=dict(env), check=False
    ).returncode
