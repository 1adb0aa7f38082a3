"""Recorded payloads of many services, if their folder is next to the checkout."""

from __future__ import annotations

import contextlib
import json

import pytest

from integrations.services import SERVICES
from integrations.services.base import UnreadablePayload

from .recorded import CORPUS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no folder of recorded payloads at {CORPUS}"),
]
GITHUB, GITLAB = SERVICES["github"], SERVICES["gitlab"]


def test_every_github_payload_is_read_and_most_kinds_are_supported() -> None:
    index = json.loads((CORPUS / "github" / "index.json").read_text())
    settled, kinds = set(), set()
    for name, entry in index["files"].items():
        event = GITHUB.read((CORPUS / "github" / name).read_bytes(), index["common_headers"] | entry["headers"])
        assert event.summary
        kinds.add(event.kind)
        if event.activity or not event.why_not.endswith("is not supported"):
            settled.add(event.kind)

    assert len(index["files"]) == 329
    assert len(kinds) == 58
    assert len(settled) >= 40


def test_every_gitlab_payload_is_posted_or_has_a_reason() -> None:
    index = json.loads((CORPUS / "gitlab" / "index.json").read_text())
    posted, kept = set(), {}
    for name, entry in index["files"].items():
        event = GITLAB.read((CORPUS / "gitlab" / name).read_bytes(), index["common_headers"] | entry["headers"])
        assert event.summary
        if event.activity:
            posted.add(name)
            assert event.activity.thread.external_url
        else:
            kept[name] = event.why_not

    assert len(posted) == 73
    assert len(kept) == 15
    assert all(kept.values())
    assert {name for name, why in kept.items() if why.endswith("is not supported")} == {
        "merge_request.action_we_do_not_support.json"
    }


def test_payloads_of_other_services_cause_no_error_in_github() -> None:
    paths = [path for path in sorted(CORPUS.rglob("*")) if path.is_file() and path.name != "index.json"]
    for path in paths:
        for kind in ("issues", "push", "pull_request", path.name.partition(".")[0].lower()):
            with contextlib.suppress(UnreadablePayload):
                GITHUB.read(path.read_bytes(), GITHUB.announce(kind, "delivery-1"))

    assert len(paths) > 600


def test_payloads_of_other_services_cause_no_error_in_gitlab() -> None:
    read = 0
    for path in sorted(CORPUS.rglob("*.json")):
        try:
            data = json.loads(path.read_bytes())
        except ValueError:
            continue
        if not isinstance(data, dict):
            continue
        for kind in ("issue", "merge_request", "note", "push", "pipeline", "user_add_to_team", "carousel"):
            with contextlib.suppress(UnreadablePayload):
                GITLAB.read(json.dumps({**data, "object_kind": kind}).encode(), {})
                read += 1

    assert read > 600
