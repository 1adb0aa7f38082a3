"""`make demo`: replay the recorded days in the running product and run a poll, after connecting what is needed."""

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
        print(f"The bridge is not running at {env['BRIDGE_URL']}. Start it with `make run` first.", file=sys.stderr)
        return 1
    if corpus := os.environ.get("CORPUS"):
        return replay_other(env, os.environ.get("SERVICE") or "github", Path(corpus))
    return story.play(env)


def replay_other(env: dict[str, str], service: str, folder: Path) -> int:
    """Replay another folder of payloads through the webhook of the service's demonstration."""
    known = {day.service: day for day in days()}
    if service not in known:
        print(f"There is no demonstration of {service}. Choose one of: {', '.join(known)}.", file=sys.stderr)
        return 2
    if not folder.is_dir():
        print(f"The folder {folder} does not exist.", file=sys.stderr)
        return 2
    return story.replay_day(env, known[service], folder)


if __name__ == "__main__":
    sys.exit(main())
