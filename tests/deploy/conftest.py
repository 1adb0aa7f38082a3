"""Both servers as docs/deploying.md sets them up: nginx with TLS in front, by the shipped configuration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from launcher.environment import ROOT
from tests.compat.certificates import issue
from tests.stack import Stack, free_ports, until

BRIDGE, FLOWDOCK, STREAMS = "bridge.test", "localhost", "stream.test"
TEMPLATE = ROOT / "deploy" / "nginx" / "flowdock.conf.template"
MAIN = """
daemon off;
master_process on;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/nginx-access.log;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    include {folder}/flowdock.conf;
}}
"""


def required(program: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where CI=true."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        assert not os.environ.get("CI"), f"{program} is not installed"
        pytest.skip(f"{program} is not installed")
    return path


@dataclass
class Response:
    status: int
    version: str
    headers: list[tuple[str, str]]
    body: str

    def all(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for each, value in self.headers if each.lower() == name.lower()]


@dataclass
class Nginx:
    """nginx on free ports. `upstreams`: the ports of the bridge and of the Flowdock server."""

    folder: Path
    upstreams: tuple[int, int]
    http: int = 0
    https: int = 0
    authority: Path = Path()
    process: subprocess.Popen[bytes] | None = field(default=None)

    def __post_init__(self) -> None:
        self.http, self.https = free_ports(2)
        self.authority, self.certificate, self.key = issue(self.folder, BRIDGE, FLOWDOCK, STREAMS)

    def start(self) -> None:
        program = required("nginx")
        variables = {
            "HTTP_PORT": str(self.http),
            "HTTPS_PORT": str(self.https),
            "BRIDGE_HOST": BRIDGE,
            "FLOWDOCK_HOST": FLOWDOCK,
            "STREAM_HOST": STREAMS,
            "BRIDGE_UPSTREAM": f"127.0.0.1:{self.upstreams[0]}",
            "FLOWDOCK_UPSTREAM": f"127.0.0.1:{self.upstreams[1]}",
            "BRIDGE_CERTIFICATE": str(self.certificate),
            "BRIDGE_CERTIFICATE_KEY": str(self.key),
            "FLOWDOCK_CERTIFICATE": str(self.certificate),
            "FLOWDOCK_CERTIFICATE_KEY": str(self.key),
        }
        text = TEMPLATE.read_text()
        for name, value in variables.items():
            assert f"${{{name}}}" in text
            text = text.replace(f"${{{name}}}", value)
        assert "${" not in text
        (self.folder / "flowdock.conf").write_text(text)
        main = self.folder / "nginx.conf"
        main.write_text(("user root;\n" if os.geteuid() == 0 else "") + MAIN.format(folder=self.folder))
        checked = subprocess.run([program, "-t", "-c", str(main)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        self.process = subprocess.Popen([program, "-c", str(main)])
        until(lambda: self.curl(f"http://{BRIDGE}/", check=False).status, "nginx to answer")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)

    def command(self, *arguments: str) -> list[str]:
        """A command line of curl, for which the hosts' usual ports are nginx's."""
        return [
            required("curl"), "--silent", "--show-error", "--max-time", "60", "--noproxy", "*",
            "--cacert", str(self.authority),
            *(
                argument
                for host in (BRIDGE, FLOWDOCK, STREAMS)
                for usual, port in ((80, self.http), (443, self.https))
                for argument in ("--connect-to", f"{host}:{usual}:127.0.0.1:{port}")
            ),
            *arguments,
        ]  # fmt: skip

    def curl(self, *arguments: str, input: bytes = b"", check: bool = True) -> Response:
        """The response to a request that curl sends."""
        done = subprocess.run(self.command("--include", *arguments), input=input, capture_output=True, check=False)
        if done.returncode:
            assert not check, done.stderr.decode()
            return Response(0, "", [], "")
        head, _, body = done.stdout.decode(errors="replace").partition("\r\n\r\n")
        while head.startswith("HTTP/1.1 100"):
            head, _, body = body.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Response(int(first.split()[1]), first.split()[0], pairs, body)


@dataclass
class Site:
    """The product behind nginx."""

    stack: Stack
    nginx: Nginx

    def json(self, *arguments: str) -> Any:
        response = self.nginx.curl(*arguments)
        assert response.status in (200, 201), response.body
        return json.loads(response.body)

    def flow_token(self) -> str:
        """The token of a new source in acme/main, made as docs/deploying.md says for a script."""
        credentials = self.nginx.folder / "credentials.txt"
        secret = f"client_secret={self.stack.env['FLOWDOCK_CLIENT_SECRET']}"
        account = "username=demo@example.com&password=demo"
        credentials.write_text(f"client_id={self.stack.env['FLOWDOCK_CLIENT_ID']}&{secret}&{account}\n")
        granted = self.json(
            f"https://{FLOWDOCK}/oauth/token", "--header", "Accept: application/json",
            "--data", "grant_type=password", "--data", "scope=integration", "--data", f"@{credentials}",
        )  # fmt: skip
        source = self.json(
            f"https://{FLOWDOCK}/flows/acme/main/sources", "--data", "name=octo/hello",
            "--header", f"Authorization: Bearer {granted['access_token']}",
        )  # fmt: skip
        return str(source["flow_token"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    required("nginx")
    folder = tmp_path_factory.mktemp("site")
    stack = Stack(folder / "data")
    nginx = Nginx(folder, (int(stack.env["BRIDGE_PORT"]), int(stack.env["FLOWDOCK_PORT"])))
    stack.env |= {
        "BRIDGE_URL": f"https://{BRIDGE}",
        "FLOWDOCK_SERVER_URL": f"https://{FLOWDOCK}",
        "FLOWDOCK_STREAM_URL": f"https://{STREAMS}",
        # The bridge uses nginx too, by its real port.
        "FLOWDOCK_API_URL": f"https://{FLOWDOCK}:{nginx.https}",
        "FLOWDOCK_CA_FILE": str(nginx.authority),
        "TRUST_FORWARDED_PROTO": "yes",
        "TRUST_FORWARDED_FOR": "yes",
        "FLOWDOCK_SERVER_TRUST_FORWARDED_PROTO": "yes",
        "FLOWDOCK_SERVER_TRUST_FORWARDED_FOR": "yes",
    }
    stack.prepare()
    stack.manage("collectstatic", "--noinput", "--verbosity", "0")
    stack.serve("collectstatic", "--noinput", "--verbosity", "0")
    try:
        nginx.start()
        stack.start()
        yield Site(stack, nginx)
    except BaseException:
        print(stack.logs())
        raise
    finally:
        stack.stop()
        nginx.stop()
