"""The image and the compose file, as far as they can be checked without Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from launcher.environment import ROOT
from tests.databases import migrated
from tests.deploy.conftest import TEMPLATE
from tests.stack import Stack

COMPOSE = ROOT / "deploy" / "compose"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with requirements-dev.txt")
    return dict(yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what settings.sh writes."""
    folder = tmp_path_factory.mktemp("compose")
    script = shutil.copy(COMPOSE / "settings.sh", folder)
    subprocess.run([script, "bridge.example", "flowdock.example", "stream.flowdock.example"], cwd="/", check=True)
    return folder


def read(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def run(env: dict[str, str], *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def environment(tmp_path: Path, settings: Path, name: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "DATA_DIR": str(tmp_path), **read(settings / name)}


def test_image_has_every_package_that_servers_need() -> None:
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"])
    copied = set(re.findall(r"^COPY (\S+) \1$", DOCKERFILE, re.MULTILINE))

    assert copied == packages - {"launcher", "demo"} | {"static", "templates"}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied | {"requirements-prod.txt", "manage.py"}


def test_settings_are_written_once_for_their_owner_only(settings: Path) -> None:
    files = [settings / name for name in (".env", "bridge.env", "server.env", "db.env")]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    before = [path.read_text() for path in files]

    again = subprocess.run(
        [settings / "settings.sh", "a.example", "b.example", "c.example"], capture_output=True, text=True, check=False
    )

    assert again.returncode == 1
    assert "exists already. Nothing was changed" in again.stderr
    assert [path.read_text() for path in files] == before


def test_written_settings_pass_the_checks_for_production(settings: Path, tmp_path: Path) -> None:
    for name, variable, command in (
        ("bridge.env", "DATABASE_URL", ["manage.py"]),
        ("server.env", "FLOWDOCK_SERVER_DATABASE_URL", ["-m", "flowdock_server"]),
    ):
        env = environment(tmp_path, settings, name)
        assert env[variable].startswith("postgres://")
        env[variable] = f"sqlite:///{tmp_path}/empty.sqlite3"
        run(env, "python", *command, "check", "--deploy", "--fail-level", "WARNING")


def test_settings_fill_every_variable_of_the_proxy(settings: Path) -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEMPLATE.read_text())) == set(read(settings / ".env"))


def test_preparation_registers_the_bridge_and_can_be_repeated(
    services: dict[str, Any], settings: Path, tmp_path: Path
) -> None:
    env = environment(tmp_path, settings, "server.env")
    env["FLOWDOCK_SERVER_DATABASE_URL"] = f"sqlite:///{migrated('flowdock', tmp_path / 'flowdock.sqlite3')}"
    command = [part.replace("$$", "$") for part in services["prepare-flowdock"]["command"]]

    first, second = run(env, *command), run(env, *command)

    secret = env["FLOWDOCK_CLIENT_SECRET"]
    assert secret not in first.stdout + first.stderr + second.stdout + second.stderr
    show = "; ".join(
        [
            "from flowdock_server.models import Application as A",
            "a = A.objects.get()",
            "print(a.client_id, a.signing_secret, a.redirect_uris, a.setup_uri, a.configuration_uri, a.published)",
        ]
    )
    shown = run(env, "python", "-m", "flowdock_server", "shell", "--no-imports", "--command", show).stdout.split()
    assert shown == [
        env["FLOWDOCK_CLIENT_ID"],
        secret,
        "https://bridge.example/complete/flowdock/",
        "https://bridge.example/flowdock/setup?flow={flow_id}&flow_url={flow_url}",
        "https://bridge.example/flowdock/configure?integration_id={source_id}&flow={flow_id}",
        "True",
    ]


def test_commands_of_services_exist_with_their_options(services: dict[str, Any], tmp_path: Path) -> None:
    env = Stack(tmp_path).env
    for name in ("bridge", "worker", "flowdock", "prepare-bridge"):
        command = services[name]["command"]
        end = 4 if command[1] == "-m" else 3
        shown = run(env, *command[:end], "--help").stdout
        assert all(option in shown for option in command if option.startswith("--")), name


def test_health_checks_pass_while_the_servers_run_and_fail_otherwise(
    services: dict[str, Any], settings: Path, tmp_path: Path
) -> None:
    stack = Stack(tmp_path)
    stack.env |= {name: read(settings / "bridge.env")[name] for name in ("BRIDGE_URL", "TRUST_FORWARDED_PROTO")}

    def check(service: str, port: str) -> int:
        command = services[service]["healthcheck"]["test"]
        assert command[0] == "CMD"
        usual = {"bridge": "8000", "flowdock": "8001"}[service]
        return run(stack.env, *(part.replace(usual, port) for part in command[1:]), check=False).returncode

    ports = {"bridge": stack.env["BRIDGE_PORT"], "flowdock": stack.env["FLOWDOCK_PORT"]}
    assert check("bridge", ports["bridge"]) == 1
    stack.start(*ports)
    try:
        assert [check(name, port) for name, port in ports.items()] == [0, 0]
    finally:
        stack.stop()


def test_services_run_as_an_ordinary_user_who_changes_only_the_data(services: dict[str, Any]) -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    for name in ("bridge", "worker", "flowdock", "prepare-bridge", "prepare-flowdock"):
        service = services[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert [volume.split(":")[1] for volume in service["volumes"]] == ["/data"], name
