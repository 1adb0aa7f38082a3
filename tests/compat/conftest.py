"""The Flowdock server at Flowdock's own addresses, and unmodified clients from their package registries.

The server runs as in the Procfile, behind a proxy with TLS, with the URL https://api.flowdock.com. Clients are
installed into temporary folders. `reroute/` redirects their host names to the proxy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests

from tests.stack import Stack, free_ports

from . import certificates, front

HERE = Path(__file__).parent
PASSWORD = "a kelp forest in winter"
INSTALLING = 300  # seconds


def missing(reason: str) -> NoReturn:
    """Something that the tests need is missing: skip them locally, fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have it: {reason}")
    pytest.skip(reason)


@dataclass
class Person:
    id: int
    email: str
    nick: str
    token: str


@dataclass
class Flowdock:
    """The running server: its users, its URLs for clients, and calls to it."""

    stack: Stack
    port: int
    authority: Path
    environment: dict[str, str]
    people: dict[str, Person] = field(default_factory=dict)
    flow: dict[str, Any] = field(default_factory=dict)
    push_token: str = ""

    def call(self, method: str, path: str, as_: str = "ines", **kwargs: Any) -> requests.Response:
        """Call the API directly, to see the effect of a client's call. Fails the test on an error."""
        response = requests.request(
            method,
            f"https://127.0.0.1:{self.port}{path}",
            auth=(self.people[as_].token, "") if as_ else None,
            headers={"Host": "api.flowdock.com"} | kwargs.pop("headers", {}),
            verify=str(self.authority),
            timeout=30,
            **kwargs,
        )
        assert response.ok, f"{method} {path}: {response.status_code} {response.text}"
        return response

    def messages(self, **parameters: Any) -> list[dict[str, Any]]:
        return self.call("GET", "/flows/acme/main/messages", params=parameters).json()

    def last(self) -> dict[str, Any]:
        return self.messages(limit=1)[0]

    def say(self, content: str, as_: str = "otto") -> dict[str, Any]:
        return self.call("POST", "/flows/acme/main/messages", as_, json={"event": "message", "content": content}).json()

    def thread(self, name: str) -> dict[str, Any]:
        """Create an inbox thread with a new source. Returns the thread from the response to its activity."""
        return self.call(
            "POST", "/messages", as_="",
            headers={"X-flowdock-wait-for-message": "true"},
            json={
                "flow_token": self.source(name), "event": "activity", "title": "opened",
                "author": {"name": "Lea Cohen"}, "external_thread_id": name,
                "thread": {"title": name, "status": {"value": "open", "color": "green"}},
            },
        ).json()  # fmt: skip

    def source(self, name: str) -> str:
        """The flow token of a new source, created by an application."""
        made = json.loads(self._command("create_application", f"App of {name}", "https://app.test/back"))
        token = self.call(
            "POST", "/oauth/token", as_="",
            data={
                "grant_type": "password", "username": self.people["ines"].email, "password": PASSWORD,
                "scope": "integration flow", "client_id": made["client_id"], "client_secret": made["client_secret"],
            },
            headers={"Accept": "application/json"},
        ).json()["access_token"]  # fmt: skip
        answer = self.call(
            "POST", "/flows/acme/main/sources", as_="",
            json={"name": name}, headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
        return answer.json()["flow_token"]

    def _command(self, *arguments: str) -> str:
        return self.stack.serve(*arguments, "--json").stdout

    def settle(self) -> None:
        """An organization with a flow and three people, created by the server's commands."""
        self.stack.serve("migrate", "--verbosity", "0")
        self.stack.serve("create_organization", "Acme")
        self.flow = json.loads(self._command("create_flow", "acme", "Main"))
        self.stack.env["FLOWDOCK_PASSWORD"] = PASSWORD
        for nick, name in (("ines", "Ines Rao"), ("otto", "Otto Berg"), ("hubot", "Hubot")):
            made = json.loads(
                self._command("create_user", f"{nick}@example.com", name, "--nick", nick, "--flow", "acme/main")
            )
            token = json.loads(self._command("issue_token", made["email"]))["token"]
            self.people[nick] = Person(made["id"], made["email"], nick, token)
        self.push_token = json.loads(self._command("issue_token", "acme/main"))["token"]


@pytest.fixture(scope="session")
def flowdock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flowdock]:
    folder = tmp_path_factory.mktemp("flowdock")
    hosts = ("api.flowdock.com", "stream.flowdock.com", "www.flowdock.com")
    authority, certificate, key = certificates.issue(folder, *hosts)
    stack = Stack(folder, FLOWDOCK_SERVER_DEMO="0", FLOWDOCK_SERVER_TRUST_FORWARDED_PROTO="1")
    stack.env |= {
        "FLOWDOCK_SERVER_URL": f"https://{hosts[0]}",
        "FLOWDOCK_STREAM_URL": f"https://{hosts[1]}",
        "FLOWDOCK_SERVER_ALLOWED_HOSTS": ",".join([*hosts, "127.0.0.1"]),
    }
    (port,) = free_ports(1)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "FLOWDOCK_HOSTS": ",".join(f"{host}=127.0.0.1:{port}" for host in hosts),
        "NODE_EXTRA_CA_CERTS": str(authority),
        "REQUESTS_CA_BUNDLE": str(authority),
        "SSL_CERT_FILE": str(authority),
    }
    server = Flowdock(stack, port, authority, environment)
    try:
        with front.standing(certificate, key, port, int(stack.env["FLOWDOCK_PORT"])):
            server.settle()
            stack.start("flowdock")
            yield server
    except BaseException:
        print(stack.logs())
        raise
    finally:
        stack.stop()


class Clients:
    """Packages from one registry in a separate folder, and a way to run a driver with them."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.command = command
        self.environment = environment

    def start(self, driver: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, str(HERE / "drivers" / driver), *arguments],
            env=self.environment | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, driver: str, *arguments: str, calls: Any = None, **environment: str) -> Any:
        """Run the driver with `calls`. Returns the JSON that it prints; fails the test if it fails."""
        process = self.start(driver, *arguments, **environment)
        try:
            out, error = process.communicate(json.dumps(calls), timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            out, error = process.communicate()
            raise AssertionError(f"{driver} did not end within 60 s\n{out}\n{error}") from None
        assert process.returncode == 0, f"{driver} ended with {process.returncode}\n{out}\n{error}"
        return json.loads(out)


def install(registry: str, *command: str, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALLING, check=False)
    except subprocess.TimeoutExpired:
        missing(f"{registry} did not answer within {INSTALLING} s")
    if done.returncode:
        missing(f"{registry} did not give what was asked for: {done.stderr[-2000:]}")


@pytest.fixture(scope="session")
def npm(flowdock: Flowdock, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Clients]:
    """Install packages of the npm registry: `npm("flowdock@0.9.1")`."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            missing(f"there is no {program}")

    @cache
    def installed(*packages: str) -> Clients:
        folder = tmp_path_factory.mktemp("npm")
        (folder / "package.json").write_text("{}")
        install("npm", "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages, cwd=folder)
        command = ["node", "--no-deprecation", "--require", str(HERE / "reroute" / "reroute.js")]
        return Clients(command, flowdock.environment | {"NODE_PATH": str(folder / "node_modules")})

    return installed


def older_python(version: str) -> str:
    """The interpreter of this version. Without one the test is skipped, even in CI: few machines have old versions."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    program = shutil.which(f"python{version}")
    # pyenv has a program for each known version, which fails if that version is not installed.
    for candidate in [*map(str, kept), *([program] if program else [])]:
        if subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    pytest.skip(f"there is no Python {version}, on the path or in ~/.pyenv/versions")


@pytest.fixture(scope="session")
def pypi(flowdock: Flowdock, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Clients]:
    """Install packages of PyPI into a virtual environment of their own: `pypi("pyflowdock==0.3.35")`.

    `python="3.9"` is for those that no longer run on the Python of the tests.
    """

    @cache
    def installed(*packages: str, python: str = "") -> Clients:
        folder = tmp_path_factory.mktemp("pypi")
        if python:
            subprocess.run([older_python(python), "-m", "venv", str(folder)], check=True)
        else:
            venv.create(folder, with_pip=True)
        program = str(folder / "bin" / "python")
        install("PyPI", program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        return Clients([program], flowdock.environment | {"PYTHONPATH": str(HERE / "reroute")})

    return installed


@pytest.fixture(scope="session")
def ruby(flowdock: Flowdock) -> Clients:
    """Ruby with the gem `flowdock`, as packaged by Debian (ruby-flowdock)."""
    program = shutil.which("ruby")
    if program is None or subprocess.run([program, "-e", "require 'flowdock'"], check=False).returncode:
        missing("there is no Ruby with the gem flowdock: apt-get install ruby-flowdock")
    return Clients([program, "-r", str(HERE / "reroute" / "reroute.rb")], flowdock.environment)
