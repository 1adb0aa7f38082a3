"""Many people at once, over a database in which they meet: a file of SQLite's, and PostgreSQL where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
RACE = Path(__file__).with_name("race.py")
PEOPLE = 12
POSTGRESQL = os.environ.get("TEST_DATABASE_URL", "")
DATABASES = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=[
            pytest.mark.postgresql,
            pytest.mark.skipif(not POSTGRESQL.startswith("postgres"), reason="TEST_DATABASE_URL is not PostgreSQL's"),
        ],
    ),
]


@pytest.fixture(scope="module", params=DATABASES)
def raced(request, tmp_path_factory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("race")
    if request.param == "sqlite":
        yield race(folder, f"sqlite:///{folder / 'bridge.sqlite3'}")
        return
    name = f"polls_{uuid.uuid4().hex}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield race(folder, f"{POSTGRESQL.rpartition('/')[0]}/{name}")
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def race(folder: Path, database_url: str) -> dict[str, Any]:
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "flowdock_bridge.settings",
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": "tests-only",
        "FIELD_KEYS": "dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
    }
    done = subprocess.run([sys.executable, RACE], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_everybody_s_vote_counts_and_the_last_post_shows_them_all(raced):
    crowd = raced["crowd"]

    assert crowd["answers"] == [302] * PEOPLE
    assert crowd["results"]["votes"] == {"Pizza": PEOPLE, "Sushi": 0, "Salad": 0}
    assert len(crowd["told"]) == PEOPLE
    assert crowd["told"][-1]["fields"]["Pizza"] == f"{PEOPLE} votes"
    shown = [int(activity["fields"]["Pizza"].split()[0]) for activity in crowd["told"]]
    assert shown == sorted(shown), "no later post shows less"
    assert crowd["version"] == PEOPLE + 1


def test_one_person_has_one_vote_however_many_are_sent(raced):
    one = raced["one"]

    assert one["answers"] == [302] * 12
    assert one["results"]["voters"] == sum(one["results"]["votes"].values()) == 1
    assert Counter(activity["title"].split()[0] for activity in one["told"])["voted"] == 1
    assert all("moved the vote from" in activity["title"] for activity in one["told"] if activity["title"][0] == "m")


def test_the_same_option_is_added_once(raced):
    same = raced["same"]

    assert same["answers"] == [302] * PEOPLE
    assert same["options"] == 4
    assert len(same["told"]) == 1


def test_the_result_that_is_told_is_the_result(raced):
    closed = raced["closed"]

    assert closed["answers"] == [302] * (PEOPLE + 2)
    (told,) = closed["told"]
    votes = closed["results"]["votes"]["Pizza"]
    assert len(closed["votes_told"]) == votes
    words = f"Pizza wins with {votes} of {votes} vote{'' if votes == 1 else 's'}" if votes else "nobody voted"
    assert told["title"] == f"closed the poll: {words}"


def test_a_form_that_is_sent_at_once_many_times_is_obeyed_once(raced):
    forms = raced["forms"]

    assert forms["answers"] == [302] * 18
    assert forms["polls"] == 1 + 6
    assert forms["categories"] == 1
    assert forms["comments"] == 1
