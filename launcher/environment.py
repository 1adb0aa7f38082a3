"""The environment of `make run`: secrets that are created once and kept in `.env`, and addresses for the ports."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.fernet import Fernet
from honcho.environ import parse

ROOT = Path(__file__).resolve().parent.parent

SECRETS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "FIELD_KEYS": lambda: Fernet.generate_key().decode(),
    "FLOWDOCK_SERVER_SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "FLOWDOCK_CLIENT_ID": lambda: secrets.token_hex(20),
    "FLOWDOCK_CLIENT_SECRET": lambda: secrets.token_urlsafe(40),
}


def complete_env_file(path: Path) -> dict[str, str]:
    """Add the secrets that `.env` lacks, and return its variables. Only its owner may read the file."""
    text = path.read_text() if path.exists() else ""
    if path.exists():
        path.chmod(0o600)
    present = parse(text)
    missing = {name: make() for name, make in SECRETS.items() if not present.get(name) and not os.environ.get(name)}
    if missing:
        path.touch(mode=0o600)
        with path.open("a") as file:
            if text and not text.endswith("\n"):
                file.write("\n")
            if not text:
                file.write("# Created by `make run`. Keep this file, and keep it secret: it decrypts what is stored.\n")
            file.writelines(f"{name}={value}\n" for name, value in missing.items())
    return {**present, **missing}


def for_one_machine(env_file: Mapping[str, str]) -> dict[str, str]:
    """The environment of every process: the caller's variables, then `.env`, then defaults for a single machine."""
    given = {**env_file, **os.environ}
    bridge_port, flowdock_port = given.get("BRIDGE_PORT", "8000"), given.get("FLOWDOCK_PORT", "8001")
    stream_port = given.get("STREAM_PORT", "8002")
    return {
        "BIND": "127.0.0.1",
        "BRIDGE_PORT": bridge_port,
        "FLOWDOCK_PORT": flowdock_port,
        "STREAM_PORT": stream_port,
        "BRIDGE_URL": f"http://127.0.0.1:{bridge_port}",
        "FLOWDOCK_SERVER_URL": f"http://127.0.0.1:{flowdock_port}",
        "FLOWDOCK_STREAM_URL": f"http://127.0.0.1:{stream_port}",
        "FLOWDOCK_API_URL": f"http://127.0.0.1:{flowdock_port}",
        "FLOWDOCK_SERVER_DEMO": "true",
        "DATA_DIR": str(ROOT / "data"),
        "PYTHONUNBUFFERED": "1",
        **given,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{given.get('PATH', '')}",
    }


def is_yes(value: str) -> bool:
    """Read a yes or no in the same way as the settings of both projects."""
    return value.strip().lower() in ("1", "true", "yes", "y", "on", "ok", "t")
