"""`python -m launcher`: prepare databases and accounts, start every process of the Procfile, stop them all together."""

from __future__ import annotations

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

STOPPED_BY_HAND = {130, 143}
MANAGE = (sys.executable, "manage.py")
EXPOSE = "FLOWDOCK_SERVER_EXPOSE_DEMO"
SERVE = (sys.executable, "-m", "flowdock_server")


def main() -> int:
    os.umask(0o077)  # what is made here and by what is started here is the owner's alone
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
    """What to do where the demonstration would be open to other machines, or nothing where it would not."""
    if is_loopback(env["BIND"]) or not is_yes(env["FLOWDOCK_SERVER_DEMO"]) or is_yes(env.get(EXPOSE, "")):
        return ""
    return (
        f"BIND={env['BIND']} would let other machines sign in to the demonstration accounts, whose passwords everybody "
        f"knows. Leave BIND at 127.0.0.1. If other machines should reach them all the same: "
        f"make run BIND={env['BIND']} {EXPOSE}=1"
    )


def stop_without_terminal(number: int, frame: FrameType | None) -> None:
    """The terminal was closed: what is still printed goes nowhere, and everything stops as it does by hand."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    os.kill(os.getpid(), signal.SIGTERM)


def start(env: Mapping[str, str]) -> int:
    # The guide makes this file once it has said all that is said the first time; until then every start is the first.
    first_start = not (Path(env["DATA_DIR"]) / "prepared").exists()
    staff_password = prepare(env, first_start)
    guide = [sys.executable, "-m", "demo.guide", *(["--first-start"] if first_start else [])]
    with apart(*guide, env={**env, "STAFF_PASSWORD": staff_password}) as guiding:
        return run_processes(env, guiding)


def prepare(env: Mapping[str, str], first_start: bool) -> str:
    """Migrate both databases and make the demo's accounts. Returns the new staff account's password, or nothing."""
    print("Preparing the databases ...", flush=True)
    # Each is a second of imports: side by side they are one.
    together((*SERVE, "migrate", "--verbosity", "0"), (*MANAGE, "migrate", "--verbosity", "0"), env=env)
    if not first_start:
        return ""
    password = secrets.token_urlsafe(9)
    accounts = {**env, "STAFF_PASSWORD": password}
    together((*SERVE, "seed_demo", "--verbosity", "0"), (sys.executable, "-m", "launcher.staff"), env=accounts)
    return password


def together(*commands: tuple[str, ...], env: Mapping[str, str]) -> None:
    """Run the commands at the same time, to their end, also when told to stop meanwhile.

    Django records some migrations after the transaction that makes their tables. Cut off between the two, the next
    start would find tables that it cannot make again. It is a matter of a second or two.
    """
    processes = [subprocess.Popen(command, env=env, start_new_session=True) for command in commands]
    try:
        failed = [command for command, process in zip(commands, processes, strict=True) if process.wait()]
    finally:
        for process in processes:
            process.wait()
    if failed:
        raise SystemExit(f"“{' '.join(failed[0][1:3])}” failed; the reason stands above.")


@contextlib.contextmanager
def apart(*command: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`command` and its children where Ctrl-C does not reach them: they end with the block, and in silence."""
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
    """Honcho's manager, for which the guide is the first to go: with no servers it has nothing true to say."""

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
