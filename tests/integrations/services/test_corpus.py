"""Recorded payloads of many services, where their folder lies beside the checkout."""

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
GITHUB = SERVICES["github"]


def test_every_payload_of_github_is_read_and_most_kinds_are_posted_or_kept_for_a_reason() -> None:
    index = json.loads((CORPUS / "github" / "index.json").read_text())
    settled, kinds = set(), set()
    for name, entry in index["files"].items():
        event = GITHUB.read((CORPUS / "github" / name).read_bytes(), index["common_headers"] | entry["headers"])
        assert event.summary
        kinds.add(event.kind)
        if event.activity or not event.why_not.endswith("is not a kind we post"):
            settled.add(event.kind)

    assert len(index["files"]) == 329
    assert len(kinds) == 58
    assert len(settled) >= 40


def test_what_other_services_send_is_an_event_or_unreadable_at_githubs_door() -> None:
    paths = [path for path in sorted(CORPUS.rglob("*")) if path.is_file() and path.name != "index.json"]
    for path in paths:
        for kind in ("issues", "push", "pull_request", path.name.partition(".")[0].lower()):
            with contextlib.suppress(UnreadablePayload):
                GITHUB.read(path.read_bytes(), GITHUB.announce(kind, "delivery-1"))

    assert len(paths) > 600
