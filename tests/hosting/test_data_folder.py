"""The data of both projects is accessible to its owner only, whatever the umask is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.environment import ROOT, SECRETS
from tests.databases import migrated

BRIDGE, FLOWDOCK = "manage.py", "-m flowdock_server"
MAIL = """
from django.core.mail import send_mail
from django.core.files.base import ContentFile
from django.core.files.storage import storages
send_mail("Hello", "Join us", None, ["lea@example.com"])
storages["attachments"].save("2026/a/b.txt", ContentFile(b"secret"))
"""


def run(project: str, folder: Path, *arguments: str, **settings: str) -> None:
    env = {name: make() for name, make in SECRETS.items()} | {
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/bridge.sqlite3",
        "FLOWDOCK_SERVER_DATABASE_URL": f"sqlite:///{folder}/flowdock.sqlite3",
        "PATH": os.environ["PATH"],
        **settings,
    }
    command = [sys.executable, *project.split(), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, umask=0o022, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def modes(folder: Path) -> dict[str, str]:
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in paths}


def open_to_others(folder: Path, mask: int = 0o077) -> set[str]:
    return {name for name, mode in modes(folder).items() if int(mode, 8) & mask}


@pytest.mark.parametrize("project", [BRIDGE, FLOWDOCK])
def test_new_folder_and_database_are_accessible_to_the_owner_only(project: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    # While a connection is open, there are -wal and -shm files beside the database.
    keep_open = "import os; from django.db import connection; connection.cursor().execute('SELECT 1'); os._exit(0)"
    run(project, folder, "migrate", "--verbosity", "0")
    run(project, folder, "shell", "-c", keep_open)

    assert any(name.endswith(".sqlite3") for name in modes(folder))
    assert any(name.endswith("-shm") for name in modes(folder))
    assert open_to_others(folder) == set()


def test_mails_and_posted_files_are_accessible_to_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    run(FLOWDOCK, folder, "shell", "-c", MAIL)

    assert {name.split("/")[0] for name in modes(folder)} >= {"mail", "files"}
    assert open_to_others(folder) == set()


@pytest.mark.parametrize("project", [BRIDGE, FLOWDOCK])
def test_permissions_of_an_existing_folder_are_tightened_at_the_start(project: str, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (folder / "mail").mkdir(parents=True)
    (folder / "flowdock.sqlite3").touch(0o644)
    elsewhere.touch(0o644)
    (folder / "link").symlink_to(elsewhere)
    for path in (folder, folder / "mail", folder / "flowdock.sqlite3"):
        path.chmod(0o755)

    run(project, folder, "check")

    (folder / "link").unlink()
    assert open_to_others(folder) == set()
    assert oct(elsewhere.stat().st_mode)[-3:] == "644", "a link's target is not in the folder"


@pytest.mark.parametrize("project", [BRIDGE, FLOWDOCK])
def test_group_can_get_access(project: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    name = "bridge" if project == BRIDGE else "flowdock"
    migrated(name, folder / f"{name}.sqlite3").chmod(0o600)
    folder.chmod(0o700)
    run(project, folder, "shell", "-c", MAIL if project == FLOWDOCK else "", DATA_DIR_GROUP="yes")

    assert open_to_others(folder, 0o007) == set()
    assert modes(folder)["."] == "0o2770"
    closed = {name for name, mode in modes(folder).items() if not int(mode, 8) & 0o060 and "static" not in name}
    assert closed == set()
