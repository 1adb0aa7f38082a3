"""The documentation's table and the settings name the same variables."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""(?:\benv(?:\.\w+)?|\brequired)\(\s*["']([A-Z_]+)["']""")
DOCUMENTED = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)


def documented(heading: str) -> set[str]:
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return {name for cell in DOCUMENTED.findall(section) for name in re.findall(r"`([A-Z_]+)`", cell)}


def read_by(settings: str) -> set[str]:
    return set(READ.findall((ROOT / settings).read_text()))


def test_every_variable_of_the_bridge_is_documented() -> None:
    assert read_by("flowdock_bridge/settings.py") - {"FLOWDOCK_PORT"} == documented("The bridge")


def test_every_variable_of_the_flowdock_server_is_documented() -> None:
    shared = {"ENV_FILE", "DATA_DIR", "DATA_DIR_GROUP", "BRIDGE_URL", "BRIDGE_PORT"}
    shared |= {"FLOWDOCK_CLIENT_ID", "FLOWDOCK_CLIENT_SECRET"}
    assert read_by("flowdock_server/settings.py") - shared == documented("The bundled Flowdock server")


def test_no_variable_is_documented_twice_in_one_table() -> None:
    for section in (ROOT / "docs" / "configuration.md").read_text().split("\n## "):
        rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
        assert sorted(rows) == sorted(set(rows))


@pytest.mark.parametrize("secret", ["SECRET_KEY", "FIELD_KEYS"])
def test_missing_secret_stops_the_start_and_says_what_to_do(secret: str, tmp_path: Path) -> None:
    environment = {"SECRET_KEY": "x", "FIELD_KEYS": "x", "DATA_DIR": str(tmp_path), "PATH": ""} | {secret: ""}

    started = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert started.returncode != 0
    assert f"{secret} is not set. `make run` writes one to .env" in started.stderr


def test_documented_cron_lines_work_from_any_folder_and_print_nothing(tmp_path: Path) -> None:
    crontab = (ROOT / "docs" / "deploying.md").read_text().split("## Cron instead of a worker")[1].split("```")[1]
    settings, *lines = crontab.strip().splitlines()
    assert settings.startswith("ENV_FILE=")
    commands = [line.split(maxsplit=5)[5] for line in lines]
    environment = {
        "SECRET_KEY": "x",
        "FIELD_KEYS": "dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=",
        "FLOWDOCK_CLIENT_ID": "bridge",
        "FLOWDOCK_CLIENT_SECRET": "bridge-secret",
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.sqlite3'}",
        "PATH": "/usr/bin:/bin",
    }

    def run(command: str) -> tuple[int, str]:
        here = command.replace("/srv/flowdock-bridge/.venv/bin/python", sys.executable)
        here = here.replace("/srv/flowdock-bridge", str(ROOT))
        done = subprocess.run(
            ["/bin/sh", "-c", here], cwd="/", env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    assert run("/srv/flowdock-bridge/.venv/bin/python /srv/flowdock-bridge/manage.py migrate --verbosity 0")[0] == 0
    assert len(commands) == 3
    assert [run(command) for command in commands] == [(0, "")] * 3
