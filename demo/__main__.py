"""`make demo`: a day of GitHub life through the running demonstration's hook, which is connected first if need be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import requests

from launcher.environment import ROOT, complete_env_file, for_one_machine

from . import connect
from .replay import DAY, NO_HOOK, replay
from .visitor import NotOnThePage


def main() -> int:
    env = for_one_machine(complete_env_file(ROOT / ".env"))
    folder = Path(os.environ.get("CORPUS") or DAY)
    if not folder.is_dir():
        print(f"There is no folder {folder}.", file=sys.stderr)
        return 2
    if hook := connect.remembered(env):
        outcome = replay(env, hook, folder)
        if outcome != NO_HOOK:
            return outcome
    try:
        hook = connect.connect(env)
    except requests.ConnectionError:
        print(f"Nothing answers at {env['BRIDGE_URL']}: start it with `make run` first.", file=sys.stderr)
        return 1
    except NotOnThePage as error:
        print(f"{connect.ORIGIN} could not be connected: {error}", file=sys.stderr)
        return 1
    connect.remember(env, hook)
    return replay(env, hook, folder)


if __name__ == "__main__":
    sys.exit(main())
