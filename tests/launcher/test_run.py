"""`make run` as people use it: in a terminal, stopped by Ctrl-C, interrupted early, started again."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from launcher.environment import ROOT
from tests.loop.flow import Flow
from tests.stack import PATIENCE, Stack, until

pytestmark = pytest.mark.loop

BANNER = "Ctrl-C to stop it"


class Terminal:
    """`python -m launcher` in a terminal of its own, as the leader of what Ctrl-C reaches."""

    def __init__(self, stack: Stack, **settings: str) -> None:
        self.screen = ""
        self.has_ended = False
        self.pid, self.keyboard = pty.fork()
        if not self.pid:
            os.chdir(ROOT)
            # As in a terminal, also where the tests run in the background of a shell, which ignores it for them.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(sys.executable, [sys.executable, "-m", "launcher"], {**stack.env, **settings})  # noqa: S606

    def read(self) -> bool:
        """Take in what has been printed; False once everybody has let go of the terminal."""
        while select.select([self.keyboard], [], [], 0.05)[0]:
            try:
                printed = os.read(self.keyboard, 65536)
            except OSError:
                return False
            if not printed:
                return False
            self.screen += printed.decode(errors="replace")
        return True

    def wait_for(self, words: str) -> None:
        def shown() -> bool:
            alive = self.read()
            if not alive and words not in self.screen:
                raise AssertionError(f"it ended without saying “{words}”:\n{self.screen}")
            return words in self.screen

        until(shown, f"“{words}”", patience=6 * PATIENCE)

    def press_ctrl_c(self) -> int:
        os.write(self.keyboard, b"\x03")
        return self.end()

    def close(self) -> int:
        """The window is closed."""
        os.close(self.keyboard)
        return self._exit_code()

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self.read():
            assert time.monotonic() < deadline, f"it did not end:\n{self.screen}"
        return self._exit_code()

    def _exit_code(self) -> int:
        self.has_ended = True
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Settings and ports only: what runs is started by the launcher."""
    stack = Stack(tmp_path / "data")
    yield stack
    try:
        until(lambda: not left(stack), "every process to be gone")
    finally:
        for pid in left(stack):
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def terminals(stack: Stack) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals. Those that a failing test leaves open are closed, so that what runs in them ends."""
    opened: list[Terminal] = []

    def open_terminal(**settings: str) -> Terminal:
        opened.append(Terminal(stack, **settings))
        return opened[-1]

    yield open_terminal
    for terminal in opened:
        if not terminal.has_ended:
            terminal.close()


def left(stack: Stack) -> dict[int, str]:
    """Whatever still runs with this stack's data folder: its command by its process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        if f"DATA_DIR={stack.data_dir}".encode() in environment.split(b"\0"):
            found[int(process.name)] = command
    return found


def is_free(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) != 0


def first_event(stack: Stack) -> dict[str, Any]:
    """What the stream of a flow tells once something is said there."""
    account = ("demo@example.com", "demo")
    with requests.Session() as session:
        session.trust_env = False
        stream = session.get(
            f"{stack.env['FLOWDOCK_STREAM_URL']}/flows/acme/main", auth=account, stream=True, timeout=PATIENCE
        )
        flow = f"{stack.flowdock}/flows/acme/main/messages"
        said = {"event": "message", "content": "Is anybody there?"}
        session.post(flow, json=said, auth=account, timeout=PATIENCE).raise_for_status()
        line = next(line for line in stream.iter_lines() if line)
        stream.close()
    event: dict[str, Any] = json.loads(line)
    return event


def test_the_first_start_brings_the_inbox_to_life_and_the_second_keeps_it(
    stack: Stack, terminals: Callable[..., Terminal]
) -> None:
    first = terminals()
    first.wait_for(BANNER)
    threads = Flow(stack).threads()
    assert threads["Greet people in their own language"]["status"]["value"] == "merged"
    assert re.search(r"\d+ posted", first.screen)
    assert first_event(stack)["event"] == "message"
    threads = Flow(stack).threads()  # what was said there is a thread as well
    assert re.search(r"sign in as staff, password \S+ \(shown only once\)", first.screen)
    assert first.press_ctrl_c() == 0
    assert "Traceback" not in first.screen
    assert is_free(stack.env["BRIDGE_PORT"])
    assert is_free(stack.env["FLOWDOCK_PORT"])
    assert is_free(stack.env["STREAM_PORT"])

    second = terminals()
    second.wait_for(BANNER)
    assert Flow(stack).threads().keys() == threads.keys()
    assert "password demo" in second.screen
    assert "as staff" not in second.screen

    second.close()
    until(lambda: not left(stack), "every process to be gone after its terminal")


def test_a_first_start_that_is_cut_off_is_made_up_for(stack: Stack, terminals: Callable[..., Terminal]) -> None:
    for words, later in (("Preparing", 0.4), ("Connecting", 0.5)):
        interrupted = terminals()
        interrupted.wait_for(words)
        time.sleep(later)
        interrupted.press_ctrl_c()
        assert "Traceback" not in interrupted.screen
        assert not left(stack)

    again = terminals(DEMO="0")
    again.wait_for("as staff")
    again.wait_for("For more activity")
    os.kill(again.pid, signal.SIGTERM)
    assert again.end() == 0, "a supervisor's signal stops it as Ctrl-C does"
    assert "Traceback" not in again.screen


@pytest.mark.parametrize("name", ["FLOWDOCK_PORT", "STREAM_PORT"])
def test_a_taken_port_is_said_in_a_sentence(stack: Stack, name: str) -> None:
    with socket.create_server(("127.0.0.1", int(stack.env[name]))):
        done = subprocess.run(
            [sys.executable, "-m", "launcher"],
            cwd=ROOT, env=stack.env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert done.returncode == 1
    assert f"Port {stack.env[name]} on 127.0.0.1 is already in use" in done.stderr
    assert f"make run {name}=" in done.stderr


def test_the_demonstration_is_open_to_other_machines_only_where_asked_for_twice(stack: Stack) -> None:
    def start(**settings: str) -> subprocess.CompletedProcess[str]:
        env = {**stack.env, "BIND": "0.0.0.0", **settings}  # noqa: S104
        return subprocess.run(
            [sys.executable, "-m", "launcher"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )

    refused = start()
    assert refused.returncode == 1
    assert "would let other machines sign in to the demonstration accounts" in refused.stderr
    assert "make run BIND=0.0.0.0 FLOWDOCK_SERVER_EXPOSE_DEMO=1" in refused.stderr
    assert not stack.data_dir.exists(), "nothing was made"

    # Asked for twice, it goes on to the ports, of which one is taken.
    with socket.create_server(("0.0.0.0", int(stack.env["STREAM_PORT"]))):  # noqa: S104
        started = start(FLOWDOCK_SERVER_EXPOSE_DEMO="1")
    assert f"Port {stack.env['STREAM_PORT']} on 0.0.0.0 is already in use" in started.stderr
