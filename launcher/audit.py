"""`make audit`: check every locked dependency against the published advisories, with pip-audit.

Exit status 1 if one has a known vulnerability. If the advisories cannot be reached, as behind a mirror with packages
only, the check is skipped with a message; ADVISORIES=required makes that an error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .environment import ROOT

LOCK_FILES = ("requirements.txt", "requirements-dev.txt")


def main() -> int:
    required = os.environ.get("ADVISORIES") == "required"
    return max(_audit(name, required=required) for name in LOCK_FILES)


def _audit(name: str, *, required: bool) -> int:
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
    done = subprocess.run(
        [*command, "--format=json", "--requirement", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    status, words = judged(done.stdout, required=required)
    print(f"{name}: {words}")
    if status and not done.stdout:
        print(done.stderr.strip()[-2000:], file=sys.stderr)
    return status


def judged(report: str, *, required: bool) -> tuple[int, str]:
    """The exit status and message for pip-audit's JSON report, which is empty if no advisories could be reached."""
    packages: list[dict[str, Any]] = json.loads(report)["dependencies"] if report.strip() else []
    audited = [package for package in packages if "skip_reason" not in package]
    if found := list(_vulnerable(audited)):
        return 1, "\n  ".join(["known vulnerabilities:", *found])
    if not audited:
        return int(required), "skipped: the published advisories cannot be reached"
    if skipped := len(packages) - len(audited):
        return int(required), f"no known vulnerability; {skipped} of {len(packages)} packages could not be looked up"
    return 0, f"no known vulnerability (packages: {len(packages)})"


def _vulnerable(packages: list[dict[str, Any]]) -> Iterator[str]:
    for package in packages:
        for each in package["vulns"]:
            fixed_in = ", ".join(each["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed_in}"


if __name__ == "__main__":
    sys.exit(main())
