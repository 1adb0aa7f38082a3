"""The whole demonstration: a recorded day of every service that has one, and a poll."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import requests

from . import connect, polls
from .replay import NO_HOOK, Day, days, replay
from .visitor import NotOnThePage


def tell(env: Mapping[str, str]) -> int:
    """An exit code: 0 where all of it went well. What cannot be told is said, and the rest goes on."""
    return max(*(live(env, day) for day in days()), vote(env))


def live(env: Mapping[str, str], day: Day, folder: Path | None = None) -> int:
    """Replay the day, or `folder`, through the origin's hook; connected first where need be."""
    folder = folder or day.folder
    if hook := connect.remembered(env, day.service):
        outcome = replay(env, hook, folder)
        if outcome != NO_HOOK:
            return outcome
    print(f"Connecting {day.origin} and replaying a day of its life ...", flush=True)
    try:
        hook = connect.connect(env, day.service, day.origin)
    except (NotOnThePage, requests.RequestException) as error:
        print(f"{day.origin} could not be connected: {error}", file=sys.stderr)
        return 1
    connect.remember(env, day.service, hook)
    return replay(env, hook, folder)


def vote(env: Mapping[str, str]) -> int:
    print("Holding a poll ...", flush=True)
    try:
        print(polls.hold(env), flush=True)
    except (NotOnThePage, requests.RequestException) as error:
        print(f"The poll could not be held: {error}", file=sys.stderr)
        return 1
    return 0
