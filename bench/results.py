"""What was measured: rows of a table, each with its limit and its goal where there are any, as JSON and as Markdown."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import sqlite3
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from launcher.environment import ROOT

PACKAGES = ("django", "uvicorn", "granian", "psycopg", "requests", "urllib3")
HEAD = """# Measurements

`make bench` measures the bridge beside the least that could do the same, both in turns in one run, and writes this
file and `results.json`. Everything shares the machine: load generator, receiver, database and what is measured.
Figures are medians of the rounds. A ratio is the median of the rounds' ratios, followed by the lowest and the highest
of them. Machines differ, so compare ratios, not rates. A load far above 0 means that other work ran too: then a
ratio of a single round is within a factor of two or three.

`python -m bench accept` measures one part: accept, deliver, latency, growth, celery, posting or server. `--help` lists
the options, such as `--seconds` and `--rounds`. `CELERY=1 make bench` also measures a Celery task for each event, for
which it installs Celery into `build/`. `python -m bench.profile_accept` shows where the CPU time of an accept goes.
"""


@dataclass(frozen=True)
class Goal:
    """`at` is "≥" or "≤"; `of` is what is compared: the "ratio" to the limit, or "ours"."""

    at: str
    bound: float
    of: str = "ratio"

    def is_reached(self, value: float) -> bool:
        return value >= self.bound if self.at == "≥" else value <= self.bound


@dataclass(frozen=True)
class Row:
    """One figure. `text` stands in the place of figures that were not measured, or that are words."""

    name: str
    ours: float | None = None
    limit: float | None = None
    unit: str = ""
    ratio: float | None = None
    spread: tuple[float, float] | None = None  # the lowest and the highest ratio of the rounds
    goal: Goal | None = None
    text: str = ""

    @property
    def is_reached(self) -> bool | None:
        value = self.ratio if self.goal and self.goal.of == "ratio" else self.ours
        return None if self.goal is None or value is None else self.goal.is_reached(value)

    def goal_as_text(self) -> str:
        if self.goal is None:
            return ""
        return f"{self.goal.at} {self.goal.bound:g}{f' {self.unit}' if self.goal.of == 'ours' else ''}"

    def cells(self) -> list[str]:
        if self.text:
            return [self.name, self.text, "", "", "", ""]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        if self.spread and self.spread[0] != self.spread[1]:
            ratio += f" ({self.spread[0]:.2f} to {self.spread[1]:.2f})"
        reached = {True: "yes", False: "**no**", None: ""}[self.is_reached]
        ours, limit = shown(self.ours, self.unit), shown(self.limit, self.unit)
        return [self.name, ours, limit, ratio, self.goal_as_text(), reached]


def row(name: str, ours: Sequence[float], limit: Sequence[float] = (), unit: str = "", goal: Goal | None = None) -> Row:
    """A row of rounds: `ours` and `limit` were measured in turns, in the same order."""
    ratios = [mine / other for mine, other in zip(ours, limit, strict=True) if other] if limit else []
    return Row(
        name,
        statistics.median(ours),
        statistics.median(limit) if limit else None,
        unit,
        statistics.median(ratios) if ratios else None,
        (min(ratios), max(ratios)) if ratios else None,
        goal,
    )


def not_measured(name: str, why: object) -> Row:
    return Row(name, text=f"not measured: {' '.join(str(why).split())[:200]}")


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()


def percentile(values: Iterable[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def facts(busy: float, **options: Any) -> dict[str, Any]:
    """Where and when this is measured. `busy` is the machine's load before it began."""
    return {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        "machine": f"{os.cpu_count()} cores ({processor()}), {total_memory():.0f} GB of memory",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": {"sqlite": sqlite3.sqlite_version} | {name: importlib.metadata.version(name) for name in PACKAGES},
        "load": round(busy, 1),
        "options": options,
    }


def commit() -> str:
    """The commit that is checked out, with a + if files have changed since."""
    try:
        done = [
            subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--", ":!bench/RESULTS.md"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done[0] + ("+" if done[1] else "")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def total_memory() -> float:
    """In GB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def table(rows: Sequence[Row]) -> str:
    cells = [["what", "ours", "limit", "ratio", "goal", "reached"], *(each.cells() for each in rows)]
    # What no row has needs no column.
    columns = [column for column in zip(*cells, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in zip(*columns, strict=True)
    ]
    return "\n".join([lines[0], "| " + " | ".join("-" * width for width in widths) + " |", *lines[1:]])


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in asdict(each).items() if value not in (None, "")}
        | ({"reached": each.is_reached} if each.is_reached is not None else {})
        for each in rows
    ]


def from_json(rows: Iterable[dict[str, Any]]) -> list[Row]:
    return [
        Row(
            **{name: value for name, value in each.items() if name not in ("goal", "reached", "spread")},
            goal=Goal(**each["goal"]) if "goal" in each else None,
            spread=tuple(each["spread"]) if "spread" in each else None,
        )
        for each in rows
    ]


class Results:
    """All sections that were measured, in `folder`: a section that is measured again takes the place of the old one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._json, self._markdown = folder / "results.json", folder / "RESULTS.md"
        self.sections: dict[str, dict[str, Any]] = json.loads(self._json.read_text()) if self._json.exists() else {}

    def put(self, title: str, rows: Sequence[Row], facts: dict[str, Any]) -> None:
        self.sections[title] = facts | {"rows": as_json(rows)}
        self._json.write_text(json.dumps(self.sections, indent=1, ensure_ascii=False) + "\n")
        self._markdown.write_text(self.markdown())

    def markdown(self) -> str:
        parts = [HEAD]
        for title, section in self.sections.items():
            options = ", ".join(f"{name} {value}" for name, value in section.get("options", {}).items())
            versions = ", ".join(f"{name} {version}" for name, version in section["versions"].items())
            parts.append(
                f"## {title}\n\n{section['date']}, commit {section['commit']}; {section['machine']};"
                f" {section['system']};\n{versions}.\nThe machine's load was {section['load']} before."
                f"{f' Options: {options}.' if options else ''}\n\n{table(from_json(section['rows']))}\n"
            )
        return "\n".join(parts)
