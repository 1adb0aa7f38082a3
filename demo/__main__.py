"""`make demo`: a day of GitHub life through the running demonstration's hook, which is connected first if need be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import requests

from launcher.environment import ROOT, complete_env_file, for_one_machine

from . import connect
from .replay import DAY, replay


def main() -> int:
    env = for_one_machine(complete_env_file(ROOT / ".env"))
    folder = Path(os.environ.get("CORPUS") or DAY)
    if not folder.is_dir():
        print(f"There is no folder {folder}.", file=sys.stderr)
        return 2
    try:
        hook = connect.remembered(env)
        if not hook or is_gone(env, hook):
            hook = connect.connect(env)
            connect.remember(env, hook)
    except requests.ConnectionError:
        print(f"Nothing answers at {env['BRIDGE_URL']}: start it with `make run` first.", file=sys.stderr)
        return 1
    return replay(env, hook, folder)


def is_gone(env: dict[str, str], hook: str) -> bool:
    """Whether the hook's integration was removed meanwhile. An unsigned delivery tells: a living hook refuses it."""
    with requests.Session() as session:
        session.trust_env = False
        return session.post(f"{env['BRIDGE_URL']}/hooks/{hook}/", data=b"{}", timeout=10).status_code in {404, 410}


if __name__ == "__main__":
    sys.exit(main())
