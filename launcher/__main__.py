"""`python -m launcher`: prepare databases and accounts, start all processes of the Procfile, stop them together."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from honcho.environ import parse_procfile
from honcho.manager import Manager

from hosting.addresses import is_loopback

from . import ports
from .environment import ROOT, complete_env_file, for_one_machine, is_yes

DESCRIPTION = "Start the bridge, the Flowdock server and the worker on this machine. Variables: docs/configuration.md."
STOPPED_BY_HAND = {130, 143}
MANAGE = (sys.executable, "manage.py")
EXPOSE = "FLOWDOCK_SERVER_EXPOSE_DEMO"
SERVE = (sys.executable, "-m", "flowdock_server")


def main() -> int:
    # It has no arguments; without this, `--help` would start everything.
    argparse.ArgumentParser(prog="make run", description=DESCRIPTION).parse_args()
    os.umask(0o077)  # only their owner can read the files that this process and its children create
    os.chdir(ROOT)
    env = for_one_machine(complete_env_file(ROOT / ".env"))
    if refusal := exposed_demo(env) or ports.taken(env):
        print(refusal, file=sys.stderr)
        return 1
    signal.signal(signal.SIGHUP, stop_without_terminal)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return start(env)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0


def exposed_demo(env: Mapping[str, str]) -> str:
    """What to do if other machines could sign in to the demonstration, or an empty text if they could not."""
    if is_loopback(env["BIND"]) or not is_yes(env["FLOWDOCK_SERVER_DEMO"]) or is_yes(env.get(EXPOSE, "")):
        return ""
    return (
        f"BIND={env['BIND']} would let other machines sign in to the demonstration accounts, whose passwords are "
        f"public. Leave BIND at 127.0.0.1. To allow it anyway: make run BIND={env['BIND']} {EXPOSE}=1"
    )


def stop_without_terminal(number: int, frame: FrameType | None) -> None:
    """The terminal was closed: discard all further output, and stop everything as Ctrl-C does."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    os.kill(os.getpid(), signal.SIGTERM)


def start(env: Mapping[str, str]) -> int:
    # The guide creates this file after it has printed the first welcome; until then every start counts as the first.
    first_start = not (Path(env["DATA_DIR"]) / "prepared").exists()
    staff_password = prepare(env, first_start)
    guide = [sys.executable, "-m", "demo.guide", *(["--first-start"] if first_start else [])]
    with apart(*guide, env={**env, "STAFF_PASSWORD": staff_password}) as guiding:
        return run_processes(env, guiding)


def prepare(env: Mapping[str, str], first_start: bool) -> str:
    """Migrate both databases and create the demo accounts. Returns the new staff password, or an empty text."""
    print("Preparing the databases ...", flush=True)
    # Each command spends a second on imports, so they run at the same time.
    together((*SERVE, "migrate", "--verbosity", "0"), (*MANAGE, "migrate", "--verbosity", "0"), env=env)
    if not first_start:
        return ""
    password = secrets.token_urlsafe(9)
    accounts = {**env, "STAFF_PASSWORD": password}
    together((*SERVE, "seed_demo", "--verbosity", "0"), (sys.executable, "-m", "launcher.staff"), env=accounts)
    return password


def together(*commands: tuple[str, ...], env: Mapping[str, str]) -> None:
    """Run the commands at the same time and wait until all have ended, also when interrupted.

    Django records some migrations after the transaction that creates their tables. If a command were killed between the
    two, the next start would fail because the tables exist already. Waiting takes a second or two.
    """
    processes = [subprocess.Popen(command, env=env, start_new_session=True) for command in commands]
    try:
        failed = [command for command, process in zip(commands, processes, strict=True) if process.wait()]
    finally:
        for process in processes:
            process.wait()
    if failed:
        raise SystemExit(f"“{' '.join(failed[0][1:3])}” failed. See the error above.")


@contextlib.contextmanager
def apart(*command: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` and its children where Ctrl-C does not reach them, and end them silently after the block."""
    process = subprocess.Popen(command, env=env, start_new_session=True)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


class Processes(Manager):
    """Honcho's manager, which ends the guide first: its messages are wrong once the servers stop."""

    def __init__(self, guide: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.guide = guide

    def terminate(self) -> None:
        end(self.guide)
        super().terminate()


def run_processes(env: Mapping[str, str], guide: subprocess.Popen[bytes]) -> int:
    manager = Processes(guide)
    for name, command in parse_procfile((ROOT / "Procfile").read_text()).processes.items():
        manager.add_process(name, command, env=env)
    manager.loop()
    return 0 if manager.returncode in STOPPED_BY_HAND else manager.returncode


if __name__ == "__main__":
    sys.exit(main())
