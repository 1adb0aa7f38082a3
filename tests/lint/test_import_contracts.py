"""Each import contract of pyproject.toml fails when somebody breaks it: each is broken here once, in a copy.

A contract with a misspelled module, or with an exception that excuses everything, would be kept for ever.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

if not os.environ.get("CI"):
    pytest.importorskip("importlinter", reason="import-linter is a tool of requirements-dev.txt")


def breaches(contract):
    """Pairs of modules of which the first must not import the second: one for each rule of the contract."""
    if contract["type"] == "forbidden":
        return [(source, other) for source in contract["source_modules"] for other in contract["forbidden_modules"]]
    if contract["type"] == "independence":
        modules = contract["modules"]
        return list(zip(modules, [*modules[1:], modules[0]], strict=True))
    assert contract["type"] == "layers"
    container = contract.get("containers", [""])[0]
    layers = [[name.strip(" ()") for name in layer.split("|")] for layer in contract["layers"]]
    modules = [[f"{container}.{name}".strip(".") for name in layer] for layer in layers]
    upwards = [(lower[0], higher[0]) for higher, lower in pairwise(modules)]
    return upwards + [beside for layer in modules for beside in pairwise(layer)]


def modules_of(breach):
    """The file of the importing module, and the line to plant in it."""
    source, imported = breach
    path = ROOT.joinpath(*source.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).relative_to(ROOT), f"import {imported}"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for name in SETTINGS["root_packages"]:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "templates"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def report(folder):
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, env=os.environ | {"COLUMNS": "400"}
    )
    return " ".join(result.stdout.split())


def test_all_contracts_are_kept(copy):
    assert " 0 broken." in report(copy)


@pytest.mark.parametrize("contract", SETTINGS["contracts"], ids=lambda contract: contract["name"])
def test_contract_fails_when_it_is_broken(copy, contract):
    planted = {}
    try:
        for breach in breaches(contract):
            file, line = modules_of(breach)
            planted.setdefault(file, (copy / file).read_text())
            with (copy / file).open("a") as module:
                module.write(f"\n{line}\n")
        printed = report(copy)
    finally:
        for file, text in planted.items():
            (copy / file).write_text(text)

    assert f"{contract['name']} BROKEN" in printed
    for source, imported in breaches(contract):
        assert f"{source} -> {imported}" in printed or f"{source} is not allowed to import {imported}" in printed
