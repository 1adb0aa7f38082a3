"""What every service in the registry owes: nothing unsigned, everything worded, nothing harmful let through."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.flowdock import payload
from integrations.services import SERVICES
from integrations.services.base import Event, Service, SignatureMismatch, UnreadablePayload
from integrations.services.filters import clean

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
RECORDED = {name: sorted((HERE / name).glob("*.json")) for name in SERVICES}
EVERY = [pytest.param(SERVICES[name], path, id=path.stem) for name, paths in RECORDED.items() for path in paths]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[press](javascript:alert(1))",
    "\u202egnp.exe",
    "a\x00b",
    "half \ud800 a pair",
    "x" * 100_000,
]


def kind_of(path: Path) -> str:
    return path.name.partition(".")[0]


def read(service: Service, body: bytes, kind: str) -> Event:
    return service.read(body, service.announce(kind, "delivery-1"))


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
@pytest.mark.parametrize("secret", ["another", "", "sëcret"])
def test_nothing_is_taken_without_the_secret(service: Service, secret: str) -> None:
    signed = service.sign(b"{}", "the secret")
    service.verify(b"{}", signed, "the secret")

    for headers in (service.sign(b"{}", "another"), {}, dict.fromkeys(signed, ""), dict.fromkeys(signed, "é\udcff")):
        with pytest.raises(SignatureMismatch):
            service.verify(b"{}", headers, "the secret")
    with pytest.raises(SignatureMismatch):
        service.verify(b"{} ", signed, "the secret")
    with pytest.raises(SignatureMismatch):
        service.verify(b"{}", signed, secret)


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_presets_and_pages_are_in_order(service: Service) -> None:
    for preset in service.presets:
        clean(service.rules, preset.filters)
    steps = service.setup_steps(service.clean_origin(service.origin_example)[1])
    assert sum(step.shows_address for step in steps) == 1
    assert (ROOT / "docs" / "services" / f"{service.name}.md").exists()


@pytest.mark.parametrize(("service", "path"), EVERY)
def test_a_payload_is_worded_whole_or_kept_with_a_reason(service: Service, path: Path) -> None:
    event = read(service, path.read_bytes(), kind_of(path))

    assert event.kind == kind_of(path)
    if event.activity is None:
        assert event.why_not
        return
    activity = event.activity
    assert activity.author.name == event.actor, "who"
    assert activity.title, "what"
    assert activity.thread.title, "which"
    assert activity.thread.external_url.startswith("https://"), "a link"
    assert event.subject
    assert event.summary.startswith(event.actor)
    assert event.facts["events"]
    known = {choice.value for rule in service.rules if rule.name == "events" for choice in rule.choices}
    assert set(event.facts["events"]) <= known, "people can switch it off"
    payload.write(activity, flow_token="token", uuid=UUID(int=1))


def leaves(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [deeper for key, item in items for deeper in leaves(item, (*way, key))]
    return [*found, way] if way else found


def replaced(data: Any, way: tuple[Any, ...], value: Any) -> bytes:
    changed = copy.deepcopy(data)
    place = changed
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = value
    return json.dumps(changed).encode()


@pytest.mark.parametrize(("service", "path"), EVERY)
def test_hostile_text_comes_out_harmless(service: Service, path: Path) -> None:
    data = json.loads(path.read_bytes())
    texts = [way for way in leaves(data) if isinstance(value_at(data, way), str)]
    for number, way in enumerate(texts):
        try:
            event = read(service, replaced(data, way, HOSTILE[number % len(HOSTILE)]), kind_of(path))
        except UnreadablePayload:
            continue
        told = " ".join((event.summary, event.subject, event.actor, event.why_not))
        told.encode()
        assert "\x00" not in told
        if event.activity:
            sent = payload.write(event.activity, flow_token="token", uuid=UUID(int=1))
            json.dumps(sent, ensure_ascii=False).encode()
            thread = sent.get("thread", {})
            # The names of people, statuses and fields are plain text to Flowdock; these are HTML.
            lines = [sent["title"], thread.get("title", ""), *(field["value"] for field in thread.get("fields", ()))]
            for html in (*lines, sent.get("body", ""), thread.get("body", "")):
                assert "<script" not in html
                assert "onerror" not in re.sub(r"&lt;.*?&gt;", "", html)
                assert 'href="javascript:' not in html
            assert not any("<img" in line for line in lines)


def value_at(data: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        data = data[key]
    return data


@pytest.mark.parametrize(("service", "path"), EVERY)
def test_a_wrong_type_is_named_by_its_path_or_does_no_harm(service: Service, path: Path) -> None:
    data = json.loads(path.read_bytes())
    for way in leaves(data):
        for wrong in ({"a": [1]}, [[]], 7.5, True, None, "\x00", 10**30):
            with contextlib.suppress(UnreadablePayload):
                read(service, replaced(data, way, wrong), kind_of(path))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(SERVICES)), st.text(max_size=30), st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
).map(lambda data: json.dumps(data).encode()))  # fmt: skip
def test_anything_at_all_is_an_event_or_unreadable(name: str, kind: str, body: bytes) -> None:
    service = SERVICES[name]
    for each in (kind, *{kind_of(path) for path in RECORDED[name]}):
        with contextlib.suppress(UnreadablePayload):
            read(service, body, each)
