"""`python -m bench` in small: each part still runs, writes its rows, and names what it could not measure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.results import Goal, Results, row, table

ROOT = Path(__file__).parents[2]
SMALL = {
    "accept": ["--seconds", "0.3", "--rounds", "1", "--connections", "2", "--processes", "1"],
    "deliver": ["--rounds", "1", "--deliveries", "64"],
    "latency": ["--seconds", "0.1", "--idle", "2", "--interval", "0.1"],
    "growth": ["--rounds", "1", "--events", "300", "--integrations", "10", "--calls", "8"],
}
ROWS = {
    "accept": ["SQLite, 2 connections: accepts", "SQLite, bytes for each stored event"],
    "deliver": [
        "SQLite, receiver answers after 0 ms, 8 at once: deliveries, beside libcurl alone",
        "SQLite, receiver answers after 20 ms, 32 at once: deliveries, beside `requests` alone",
    ],
    "latency": [
        "SQLite, from hook to inbox, idle (an event every 0.1 s): p50",
        "SQLite, start of the worker, to its first post",
    ],
    "growth": ["SQLite, accept", "SQLite, claim", "SQLite, page: home", "SQLite, admin: event list", "SQLite, prune"],
}
FACTS = {"date": "2026-11-25", "commit": "0", "machine": "2 cores", "system": "Linux", "versions": {}, "load": 0.0}


@pytest.mark.parametrize("part", SMALL)
def test_part_measures_beside_its_limit_and_writes_both_files(part, tmp_path):
    command = [sys.executable, "-m", "bench", part, "--databases", "sqlite", "--results", str(tmp_path), *SMALL[part]]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert not done.returncode, done.stderr
    (section,) = json.loads((tmp_path / "results.json").read_text()).values()
    rows = {each["name"]: each for each in section["rows"]}
    assert not [each for each in rows.values() if "text" in each], done.stderr
    for name in ROWS[part]:
        assert rows[name]["ours"] > 0
        assert rows[name]["limit"] > 0
        assert name in (tmp_path / "RESULTS.md").read_text()
        assert name in done.stdout


def test_database_that_cannot_be_reached_is_named_as_not_measured(tmp_path):
    command = [sys.executable, "-m", "bench", "latency", "--databases", "postgresql", "--results", str(tmp_path)]
    nothing_listens = ["--postgresql", "postgres://postgres@127.0.0.1:1/postgres"]

    done = subprocess.run(command + nothing_listens, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert "not measured: PostgreSQL cannot be reached" in done.stdout


def test_ratio_is_the_median_of_the_rounds_and_decides_whether_the_goal_is_reached():
    measured = row("accepts", [90, 200, 100], [100, 100, 100], "/s", Goal("≥", 1.0))

    assert (measured.ratio, measured.spread, measured.is_reached) == (1.0, (0.9, 2.0), True)
    assert "| accepts | 100 /s | 100 /s | 1.00 (0.90 to 2.00) | ≥ 1  | yes     |" in table([measured])


def test_goal_in_a_unit_is_for_the_figure_and_not_for_the_ratio():
    measured = row("p50", [31], [20], "ms", Goal("≤", 30, of="ours"))

    assert measured.is_reached is False
    assert "≤ 30 ms" in table([measured])


def test_section_that_is_measured_again_replaces_the_old_one(tmp_path):
    Results(tmp_path).put("Growth", [row("old", [1])], FACTS)
    Results(tmp_path).put("Accepting", [row("other", [1])], FACTS)

    Results(tmp_path).put("Growth", [row("new", [1])], FACTS)

    text = (tmp_path / "RESULTS.md").read_text()
    assert "| new " in text
    assert "| other " in text
    assert "| old " not in text
