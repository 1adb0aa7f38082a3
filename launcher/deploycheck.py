"""Run `check --deploy` for both projects with the settings of a real deployment: there must be no warnings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from cryptography.fernet import Fernet

from .environment import ROOT


def main() -> int:
    with tempfile.TemporaryDirectory() as data_dir:
        env = {
            **os.environ,
            "DATA_DIR": data_dir,
            "SECRET_KEY": "for-this-check-only-" + "0123456789abcdefghij" * 2,
            "FIELD_KEYS": Fernet.generate_key().decode(),
            "BRIDGE_URL": "https://bridge.example",
            "FLOWDOCK_API_URL": "https://flowdock.example",
            "FLOWDOCK_CLIENT_ID": "bridge",
            "FLOWDOCK_CLIENT_SECRET": "for-this-check-only",
            "FLOWDOCK_SERVER_SECRET_KEY": "for-this-check-only-" + "0123456789abcdefghij" * 2,
            "FLOWDOCK_SERVER_URL": "https://flowdock.example",
            "FLOWDOCK_SERVER_DEMO": "false",
            "DEBUG": "false",
        }
        results = [
            subprocess.run([sys.executable, *command, *arguments], cwd=ROOT, env=env, check=False).returncode
            for command in (["manage.py"], ["-m", "flowdock_server"])
            for arguments in (
                ["check", "--deploy", "--fail-level", "WARNING"],
                ["makemigrations", "--check", "--dry-run", "--verbosity", "1"],
            )
        ]
    return max(results)


if __name__ == "__main__":
    sys.exit(main())
