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
    shared = {"DATA_DIR", "BRIDGE_URL", "BRIDGE_PORT", "FLOWDOCK_CLIENT_ID", "FLOWDOCK_CLIENT_SECRET"}
    assert read_by("flowdock_server/settings.py") - shared == documented("The bundled Flowdock server")


def test_no_variable_stands_twice_in_one_table() -> None:
    for section in (ROOT / "docs" / "configuration.md").read_text().split("\n## "):
        rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
        assert sorted(rows) == sorted(set(rows))


@pytest.mark.parametrize("secret", ["SECRET_KEY", "FIELD_KEYS"])
def test_a_missing_secret_stops_the_start_with_a_sentence_that_says_what_to_do(secret: str, tmp_path: Path) -> None:
    environment = {"SECRET_KEY": "x", "FIELD_KEYS": "x", "DATA_DIR": str(tmp_path), "PATH": ""} | {secret: ""}

    started = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert started.returncode != 0
    assert f"{secret} is not set. `make run` writes one to .env" in started.stderr
