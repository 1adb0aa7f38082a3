"""Processes that are measured: started, awaited and stopped, with the CPU time and the memory of their whole trees.

Reads /proc, so it needs Linux.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from launcher.environment import ROOT

PATIENCE = 60.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A process that is measured has ended or does not answer. The message has its last lines."""


class Process:
    """A command and all processes that it starts."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self.command = command
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self.began = time.perf_counter()
        self._process = subprocess.Popen(command, cwd=ROOT, env=dict(env), stdout=self.log, stderr=self.log)

    @property
    def pids(self) -> list[int]:
        return tree(self._process.pid)

    def await_answer(self, port: int, path: str = "/") -> float:
        """Wait until the server answers a request. Returns the seconds since the start."""
        while time.perf_counter() - self.began < PATIENCE:
            # The port may accept connections before there is a process that answers.
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            with contextlib.suppress(OSError, http.client.HTTPException):
                link.request("GET", path)
                link.getresponse().read()
                return time.perf_counter() - self.began
            self.check()
            time.sleep(0.01)
        raise Failed(f"nothing answers on port {port}: {' '.join(self.command)}\n{self.last_lines()}")

    def check(self) -> None:
        """Raises Failed if the command has ended."""
        if self._process.poll() is not None:
            raise Failed(f"{' '.join(self.command)} ended with {self._process.returncode}\n{self.last_lines()}")

    def last_lines(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-2000:]

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.log.close()


@contextlib.contextmanager
def running(command: list[str], env: Mapping[str, str], port: int = 0) -> Iterator[Process]:
    """Run the command until the block ends; with a port, the block begins when it answers there."""
    process = Process(command, env)
    try:
        if port:
            process.await_answer(port)
        yield process
    finally:
        process.stop()


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def call(command: list[str], env: Mapping[str, str]) -> str:
    """Run the command to its end and return what it printed."""
    done = subprocess.run(command, cwd=ROOT, env=dict(env), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, to_visit = [], [pid]
    while to_visit:
        found.append(to_visit.pop())
        to_visit += children.get(found[-1], [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes, with that of their children that have ended."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / TICKS


def memory(pids: Iterable[int]) -> float:
    """Megabytes of the processes. Pages that they share are counted once, divided between them (PSS)."""
    kilobytes = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kilobytes += int(line.split()[1])
    return kilobytes / 1024


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (man 5 proc), or none if the process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
