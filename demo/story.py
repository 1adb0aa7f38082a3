"""The whole demonstration: a recorded day of every service that has one, and a poll."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import requests

from . import connect, polls
from .replay import NO_HOOK, Day, days, replay
from .visitor import NotOnThePage


def play(env: Mapping[str, str]) -> int:
    """Play all parts and return an exit code: 0 if all succeeded. A part that fails does not stop the others."""
    return max(*(replay_day(env, day) for day in days()), run_poll(env))


def replay_day(env: Mapping[str, str], day: Day, folder: Path | None = None) -> int:
    """Replay the day, or `folder`, through the origin's webhook, after connecting the origin if needed."""
    folder = folder or day.folder
    if hook := connect.remembered(env, day.service):
        outcome = replay(env, hook, folder)
        if outcome != NO_HOOK:
            return outcome
    print(f"Connecting {day.origin} and replaying a recorded day ...", flush=True)
    try:
        hook = connect.connect(env, day.service, day.origin)
    except (NotOnThePage, requests.RequestException) as error:
        print(f"{day.origin} could not be connected: {error}", file=sys.stderr)
        return 1
    connect.remember(env, day.service, hook)
    return replay(env, hook, folder)


def run_poll(env: Mapping[str, str]) -> int:
    print("Running a poll ...", flush=True)
    try:
        print(polls.run(env), flush=True)
    except (NotOnThePage, requests.RequestException) as error:
        print(f"The poll failed: {error}", file=sys.stderr)
        return 1
    return 0
