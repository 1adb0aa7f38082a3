"""Simultaneous requests, with an SQLite file, and with PostgreSQL if there is one."""

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

from tests.databases import migrated

# One process of pytest-xdist runs the whole module, so that the races run once.
pytestmark = pytest.mark.xdist_group("races")

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
        yield race(folder, f"sqlite:///{migrated('bridge', folder / 'bridge.sqlite3')}")
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


def test_simultaneous_votes_all_count_and_the_last_post_shows_them(raced):
    crowd = raced["crowd"]

    assert crowd["answers"] == [302] * PEOPLE
    assert crowd["results"]["votes"] == {"Pizza": PEOPLE, "Sushi": 0, "Salad": 0}
    assert len(crowd["posted"]) == PEOPLE
    assert crowd["posted"][-1]["fields"]["Pizza"] == f"{PEOPLE} votes"
    shown = [int(activity["fields"]["Pizza"].split()[0]) for activity in crowd["posted"]]
    assert shown == sorted(shown), "no later post shows less"
    assert crowd["version"] == PEOPLE + 1


def test_simultaneous_votes_of_one_person_count_once(raced):
    one = raced["one"]

    assert one["answers"] == [302] * 12
    assert one["results"]["voters"] == sum(one["results"]["votes"].values()) == 1
    assert Counter(activity["title"].split()[0] for activity in one["posted"])["voted"] == 1
    assert all(
        "changed their vote from" in activity["title"] for activity in one["posted"] if activity["title"][0] == "c"
    )


def test_simultaneous_requests_add_an_option_once(raced):
    same = raced["same"]

    assert same["answers"] == [302] * PEOPLE
    assert same["options"] == 4
    assert len(same["posted"]) == 1


def test_the_posted_result_includes_all_counted_votes(raced):
    closed = raced["closed"]

    assert closed["answers"] == [302] * (PEOPLE + 2)
    (post,) = closed["posted"]
    votes = closed["results"]["votes"]["Pizza"]
    assert len(closed["votes_posted"]) == votes
    words = f"Pizza wins with {votes} of {votes} vote{'' if votes == 1 else 's'}" if votes else "nobody voted"
    assert post["title"] == f"closed the poll: {words}"


def test_simultaneous_submissions_of_a_form_count_once(raced):
    forms = raced["forms"]

    assert forms["answers"] == [302] * 18
    assert forms["polls"] == 1 + 6
    assert forms["categories"] == 1
    assert forms["comments"] == 1
