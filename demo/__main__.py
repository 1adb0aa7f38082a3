"""`make demo`: recorded days through the running demonstration's hooks, and a poll; connected first where need be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import requests

from launcher.environment import ROOT, complete_env_file, for_one_machine

from . import story
from .replay import days


def main() -> int:
    env = for_one_machine(complete_env_file(ROOT / ".env"))
    try:
        requests.get(env["BRIDGE_URL"], timeout=10)
    except requests.RequestException:
        print(f"Nothing answers at {env['BRIDGE_URL']}: start it with `make run` first.", file=sys.stderr)
        return 1
    if corpus := os.environ.get("CORPUS"):
        return replay_other(env, os.environ.get("SERVICE") or "github", Path(corpus))
    return story.tell(env)


def replay_other(env: dict[str, str], service: str, folder: Path) -> int:
    """Another folder of payloads, through the hook of the service's demonstration."""
    known = {day.service: day for day in days()}
    if service not in known:
        print(f"There is no demonstration of {service}, only of {', '.join(known)}.", file=sys.stderr)
        return 2
    if not folder.is_dir():
        print(f"There is no folder {folder}.", file=sys.stderr)
        return 2
    return story.live(env, known[service], folder)


if __name__ == "__main__":
    sys.exit(main())
