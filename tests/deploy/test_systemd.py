"""The shipped units of systemd."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.environment import ROOT

from .conftest import required

UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
PYTHON = "/srv/flowdock-bridge/.venv/bin/python"


def installed(unit: Path, folder: Path) -> Path:
    """A copy of the unit whose Python is one that is on this machine."""
    text = unit.read_text()
    if unit.suffix == ".service":
        assert f"ExecStart={PYTHON} " in text
    copy = folder / unit.name
    copy.write_text(text.replace(PYTHON, sys.executable))
    return copy


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    program = required("systemd-analyze")
    copies = [installed(unit, tmp_path) for unit in UNITS]

    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", *map(str, copies)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_services_can_do_little_else_than_their_work(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze security` rates 0 (safe) to 10; without these options a service has 9.6."""
    program = required("systemd-analyze")

    done = subprocess.run(
        [program, "security", "--offline=yes", "--json=short", "--threshold=20", installed(unit, tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    json.loads(done.stdout)  # a table of what it looked at
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_commands_of_units_exist_with_their_options(unit: Path, tmp_path: Path) -> None:
    line = re.search(rf"^ExecStart={re.escape(PYTHON)} (.+)$", unit.read_text(), re.MULTILINE)
    assert line
    arguments = line[1].split()
    env = {"SECRET_KEY": "x", "FIELD_KEYS": "x", "FLOWDOCK_SERVER_SECRET_KEY": "x", "DATA_DIR": str(tmp_path)}
    command = arguments[: 3 if arguments[0] == "-m" else 2]

    done = subprocess.run(
        [sys.executable, *command, "--help"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )

    options = [argument for argument in arguments if argument.startswith("--")]
    assert done.returncode == 0, done.stderr
    assert all(option in done.stdout for option in options)


@pytest.mark.parametrize("name", ["flowdock-bridge", "flowdock-server"])
def test_command_runs_with_the_settings_of_the_services(name: str, tmp_path: Path) -> None:
    settings, data, link = tmp_path / "site.env", tmp_path / "data", tmp_path / name
    link.symlink_to(ROOT / "deploy" / "bin" / name)  # as in /usr/local/bin
    settings.write_text(
        f"SECRET_KEY=x\nFIELD_KEYS=x\nFLOWDOCK_SERVER_SECRET_KEY=x\nDATA_DIR={data}\nTIME_ZONE=Europe/Helsinki\n"
    )
    user = {"BRIDGE_USER": "root", "FLOWDOCK_SERVER_USER": "root"}

    done = subprocess.run(
        [link, "version"], cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ENV_FILE": str(settings), **user},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5.2")
    assert data.exists()
