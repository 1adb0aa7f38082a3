"""Sending a folder of payloads through the demonstration's hook, by the bridge's own `replay` command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from launcher.environment import ROOT

# What `replay` exits with where the hook's integration was removed, or the data folder is another one.
NO_HOOK = 4
DAY = Path(__file__).resolve().parent / "github"


def replay(env: Mapping[str, str], hook: str, folder: Path = DAY) -> int:
    """The command's exit code; it prints what it sent and what came out of it."""
    return subprocess.run(
        [sys.executable, "manage.py", "replay", hook, str(folder.resolve())], cwd=ROOT, env=dict(env), check=False
    ).returncode
