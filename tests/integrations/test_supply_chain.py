"""Third-party code: packages are locked by hash, actions by commit, and known vulnerabilities fail the audit."""

import json
import re
from pathlib import Path

import pytest

from launcher.audit import judged

ROOT = Path(__file__).resolve().parents[2]
LOCK_FILES = sorted(ROOT.glob("requirements*.txt"))


@pytest.mark.parametrize("path", LOCK_FILES, ids=lambda path: path.name)
def test_every_locked_package_has_a_version_and_hashes(path: Path) -> None:
    packages = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE))
    locked = [package for package in packages if package.strip()]

    assert len(locked) > 10
    assert [each for each in locked if not re.match(r"[\w.\[\]-]+==\S+", each) or "--hash=sha256:" not in each] == []


@pytest.mark.parametrize("path", LOCK_FILES, ids=lambda path: path.name)
def test_lock_file_names_no_registry(path: Path) -> None:
    assert re.findall(r"https?://\S+|--(?:extra-)?index-url|--trusted-host", path.read_text()) == []


def test_actions_are_pinned_by_commit() -> None:
    workflows = list((ROOT / ".github" / "workflows").glob("*.y*ml"))
    used = [line for path in workflows for line in re.findall(r"uses:\s*(\S+)", path.read_text())]

    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def report(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
VULNERABLE = {"name": "nh3", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.2"], "aliases": []}]}
SKIPPED = {"name": "idna", "skip_reason": "Dependency not found on PyPI and could not be audited: idna (3.10)"}


def test_known_vulnerability_fails_the_audit_and_is_named() -> None:
    status, words = judged(report(SOUND, VULNERABLE), required=False)

    assert status == 1
    assert "nh3 0.1: PYSEC-1, fixed in 0.2" in words


@pytest.mark.parametrize("printed", ["", report(SKIPPED)])
def test_audit_without_advisories_says_so_and_fails_where_they_are_required(printed: str) -> None:
    assert judged(printed, required=False) == (0, "skipped: the published advisories cannot be reached")
    assert judged(printed, required=True)[0] == 1


def test_package_that_could_not_be_looked_up_is_counted() -> None:
    words = "no known vulnerability; 1 of 2 packages could not be looked up"

    assert judged(report(SOUND, SKIPPED), required=False) == (0, words)
    assert judged(report(SOUND, SKIPPED), required=True) == (1, words)
    assert judged(report(SOUND), required=True) == (0, "no known vulnerability (packages: 1)")
