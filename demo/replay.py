"""Recorded days, one folder for each service, and sending them through a hook by the bridge's own `replay` command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.environment import ROOT

HERE = Path(__file__).resolve().parent
# What `replay` exits with where the hook's integration was removed, or the data folder is another one.
NO_HOOK = 4


@dataclass(frozen=True, slots=True)
class Day:
    """What happens at `origin` of `service` in a day: the payloads in `folder`, in the order of their names."""

    service: str
    origin: str
    folder: Path


def days() -> list[Day]:
    """Those that lie beside this file; a folder's `origin.txt` names the origin."""
    return [Day(file.parent.name, file.read_text().strip(), file.parent) for file in sorted(HERE.glob("*/origin.txt"))]


def day_of(service: str) -> Day:
    return next(day for day in days() if day.service == service)


DAY = day_of("github").folder


def replay(env: Mapping[str, str], hook: str, folder: Path) -> int:
    """The command's exit code; it prints what it sent and what came out of it."""
    return subprocess.run(
        [sys.executable, "manage.py", "replay", hook, str(folder.resolve())], cwd=ROOT, env=dict(env), check=False
    ).returncode
