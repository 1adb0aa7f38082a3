"""The bridge's web server as a process of its own, with a way to ask it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from .processes import PATIENCE, ROOT, Bridge

START_PATIENCE = 90.0  # seconds; starting takes two on an idle machine
TOKEN = "metrics-of-the-tests"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """A running `serve`."""

    def __init__(self, bridge: Bridge, log: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.log = log
        self.env = bridge.env | {"METRICS_TOKEN": TOKEN, "BRIDGE_URL": "https://bridge.example"} | settings
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(self.port)],
                cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=output,
            )  # fmt: skip

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """The answer to a request as a load balancer sends it: by address and http."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {"Host": "192.0.2.77", **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            link.request(method, path, body, sent)
            response = link.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read().decode())
        finally:
            link.close()

    def scrape(self) -> dict[str, float]:
        """Each sample of /metrics by its name and labels, as in the text."""
        answer = self.ask("/metrics", Authorization=f"Bearer {TOKEN}")
        assert answer.status == 200, answer
        samples = {}
        for family in text_string_to_metric_families(answer.body):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                samples[sample.name.removeprefix("flowdock_bridge_") + (f"{{{labels}}}" if labels else "")] = (
                    sample.value
                )
        return samples

    def logged(self) -> list[str]:
        return self.log.read_text().splitlines()


@contextlib.contextmanager
def serving(bridge: Bridge, folder: Path, **settings: str) -> Iterator[Web]:
    web = Web(bridge, folder / "web.log", **settings)
    try:
        deadline = time.monotonic() + START_PATIENCE
        while not listens(web):
            assert time.monotonic() < deadline, web.log.read_text()
        yield web
    finally:
        web.process.terminate()
        try:
            web.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            web.process.kill()
            web.process.wait()


def listens(web: Web) -> bool:
    assert web.process.poll() is None, web.log.read_text()
    try:
        return web.ask("/healthz").status == 200
    except OSError:
        time.sleep(0.1)
        return False
