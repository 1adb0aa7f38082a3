"""`python -m launcher`: prepare databases and accounts, start every process of the Procfile, stop them all together."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager

from . import ports
from .environment import ROOT, complete_env_file, for_one_machine

STOPPED_BY_HAND = {130, 143}


def main() -> int:
    os.chdir(ROOT)
    env = for_one_machine(complete_env_file(ROOT / ".env"))
    if taken := ports.taken(env):
        print(taken, file=sys.stderr)
        return 1
    prepared = Path(env["DATA_DIR"]) / "prepared"
    first_start = not prepared.exists()
    staff_password = prepare(env, first_start)
    prepared.touch()
    guide = subprocess.Popen(
        [sys.executable, "-m", "demo.guide", *(["--first-start"] if first_start else [])],
        env={**env, "STAFF_PASSWORD": staff_password},
    )
    try:
        return run_processes(env)
    finally:
        guide.terminate()
        guide.wait()


def prepare(env: Mapping[str, str], first_start: bool) -> str:
    """Migrate both databases and make the demo's accounts. Returns the new staff account's password, or nothing."""
    print("Preparing the databases ...", flush=True)
    manage, serve = [sys.executable, "manage.py"], [sys.executable, "-m", "flowdock_server"]
    # Each is a second of imports: side by side they are one.
    migrating = subprocess.Popen([*serve, "migrate", "--verbosity", "0"], env=env)
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=env, check=True)
    if migrating.wait():
        raise SystemExit("The Flowdock server's database could not be migrated; the reason stands above.")
    if not first_start:
        return ""
    subprocess.run([*serve, "seed_demo", "--verbosity", "0"], env=env, check=True)
    password = secrets.token_urlsafe(9)
    subprocess.run(
        [
            *manage,
            "createsuperuser",
            "--noinput",
            "--username",
            "staff",
            "--email",
            "staff@example.com",
            "--verbosity",
            "0",
        ],
        env={**env, "DJANGO_SUPERUSER_PASSWORD": password},
        check=True,
    )
    return password


def run_processes(env: Mapping[str, str]) -> int:
    manager = Manager()
    for name, command in parse_procfile((ROOT / "Procfile").read_text()).processes.items():
        manager.add_process(name, command, env=env)
    manager.loop()
    return 0 if manager.returncode in STOPPED_BY_HAND else manager.returncode


if __name__ == "__main__":
    sys.exit(main())
