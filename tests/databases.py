"""Databases of SQLite that tests begin with. Migrating one takes seconds, so all processes of a test run share it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "TEST_DATABASES"  # the environment variable that names where they are, for one run of tests
MIGRATE = {
    "bridge": ["manage.py", "migrate", "--verbosity", "0"],
    "flowdock": ["-m", "flowdock_server", "migrate", "--verbosity", "0"],
}


@contextlib.contextmanager
def folder_for_databases() -> Iterator[None]:
    """Name a folder to all processes that are started in the block, unless there is one."""
    if FOLDER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="databases-") as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def shared(name: str, make: Callable[[Path], None]) -> Path:
    """What `make` puts into a folder, called by the first process of the run that asks for `name`; to be copied."""
    path = Path(os.environ[FOLDER]) / name
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(path)
    return path


def migrated(project: str, path: Path) -> Path:
    """A new database at `path`, as `migrate` of "bridge" or "flowdock" makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(shared(project, lambda folder: _migrate(project, folder)) / f"{project}.sqlite3", path)
    return path


def _migrate(project: str, folder: Path) -> None:
    path = folder / f"{project}.sqlite3"
    env = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(folder),
        "SECRET_KEY": "tests-only",
        "FIELD_KEYS": "dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=",
        "DATABASE_URL": f"sqlite:///{path}",
        "FLOWDOCK_SERVER_SECRET_KEY": "tests-only",
        "FLOWDOCK_SERVER_DATABASE_URL": f"sqlite:///{path}",
    }
    command = [sys.executable, *MIGRATE[project]]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    complete(path)


def complete(path: Path) -> None:
    """Move into the file at `path` what was written last, which lies in another beside it."""
    with contextlib.closing(sqlite3.connect(path)) as link:
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
