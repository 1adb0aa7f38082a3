"""The product as it runs: bridge, Flowdock server and worker as processes of their own, free ports, fresh data."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import requests
from honcho.environ import parse_procfile

from launcher.environment import ROOT, SECRETS, for_one_machine
from tests.databases import migrated

T = TypeVar("T")

PATIENCE = 30.0  # seconds for what takes a fraction of one on an idle machine


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Stack:
    """The processes of the Procfile over a data folder; each can be stopped, killed and started again."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        bridge, flowdock, streams = free_ports(3)
        secrets = {name: make() for name, make in SECRETS.items()}
        given = {
            **secrets,
            "BRIDGE_PORT": str(bridge),
            "FLOWDOCK_PORT": str(flowdock),
            "STREAM_PORT": str(streams),
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": f"sqlite:///{data_dir}/bridge.sqlite3",
            "FLOWDOCK_SERVER_DATABASE_URL": f"sqlite:///{data_dir}/flowdock.sqlite3",
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        # What the developer's own environment or .env holds must not decide a test.
        self.env = for_one_machine({}) | given | inherited
        for name in ("BRIDGE_URL", "FLOWDOCK_SERVER_URL", "FLOWDOCK_API_URL"):
            self.env[name] = f"http://127.0.0.1:{bridge if name == 'BRIDGE_URL' else flowdock}"
        self.env["FLOWDOCK_STREAM_URL"] = f"http://127.0.0.1:{streams}"
        self.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{self.env['PATH']}"
        self.bridge, self.flowdock = self.env["BRIDGE_URL"], self.env["FLOWDOCK_SERVER_URL"]
        self.commands = parse_procfile((ROOT / "Procfile").read_text()).processes
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def manage(self, *arguments: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A management command of the bridge, run to its end."""
        return self._run("manage.py", *arguments, input=input, check=check)

    def serve(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the Flowdock server, run to its end."""
        return self._run("-m", "flowdock_server", *arguments)

    def _run(self, *arguments: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=self.env, input=input, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def prepare(self) -> None:
        migrated("bridge", self.data_dir / "bridge.sqlite3")
        migrated("flowdock", self.data_dir / "flowdock.sqlite3")
        self.serve("seed_demo", "--verbosity", "0")

    def log(self, name: str) -> Path:
        return self.data_dir / f"{name}.log"

    def start(self, *names: str) -> None:
        for name in names or self.commands:
            with self.log(name).open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    ["/bin/sh", "-c", self.commands[name]],
                    cwd=ROOT, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        for name, address in (("bridge", self.bridge), ("flowdock", self.flowdock)):
            if name in (names or self.commands):
                until(lambda address=address: answers(address), f"{name} to answer at {address}")

    def stop(self, *names: str, by: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        """Stop processes (all of them unless named); their exit codes."""
        codes = {}
        for name in names or tuple(self.processes):
            process = self.processes.pop(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, by)
            try:
                codes[name] = process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise AssertionError(f"{name} did not stop within {PATIENCE:.0f} s of {by.name}") from None
        return codes

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')}" for path in sorted(self.data_dir.glob("*.log"))
        )


def answers(address: str) -> bool:
    try:
        requests.get(address, timeout=2, allow_redirects=False)
    except requests.RequestException:
        return False
    return True


def until(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """What `condition` answers once it is true; fails when patience ends."""
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(0.05)
    return answer


@contextlib.contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[Stack]:
    """A prepared and started stack, stopped at the end; its logs are printed when the body fails."""
    stack = Stack(data_dir, **settings)
    stack.prepare()
    try:
        stack.start()
        yield stack
    except BaseException:
        print(stack.logs())
        raise
    finally:
        stack.stop()
