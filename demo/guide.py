"""Runs beside the processes of `make run`: plays the demonstration on the first start, and prints where to go."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import requests

from . import connect, story

PATIENCE = 60.0  # seconds until the servers must answer


def main() -> int:
    env = os.environ
    if not wait_for(env["BRIDGE_URL"], env["FLOWDOCK_SERVER_URL"]):
        return 1
    first_start = "--first-start" in sys.argv
    if first_start and env.get("DEMO", "1") != "0":
        # The addresses are printed even if the demonstration fails.
        story.play(env)
    print(welcome(), flush=True)
    if first_start:
        (Path(env["DATA_DIR"]) / "prepared").touch()
    return 0


def wait_for(*addresses: str) -> bool:
    """Whether every address answers within PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    with requests.Session() as session:
        session.trust_env = False
        for address in addresses:
            while not _answers(session, address):
                if time.monotonic() > deadline:
                    print(f"{address} is not responding. See the error above.", file=sys.stderr)
                    return False
                time.sleep(0.1)
    return True


def _answers(session: requests.Session, address: str) -> bool:
    try:
        session.get(address, timeout=2, allow_redirects=False)
    except requests.RequestException:
        return False
    return True


def welcome() -> str:
    env = os.environ
    lines = [
        "",
        "  Flowdock Bridge is running. Press Ctrl-C to stop it.",
        "",
        f"  Flowdock    {env['FLOWDOCK_SERVER_URL']}/app/acme/main",
        f"              sign in as {connect.ACCOUNT} or other@example.com, password {connect.PASSWORD}",
        f"  The bridge  {env['BRIDGE_URL']}/",
        f"  Polls       {env['BRIDGE_URL']}/polls/",
        f"  Admin       {env['BRIDGE_URL']}/admin/",
    ]
    if password := env.get("STAFF_PASSWORD"):
        lines.append(f"              sign in as staff, password {password} (shown only once)")
    lines += ["", "  For more activity in the inbox, run `make demo` in another terminal.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
