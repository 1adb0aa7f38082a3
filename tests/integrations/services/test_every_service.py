"""What every service must do: reject unsigned requests, word every event, and let nothing harmful through."""

from __future__ import annotations

import contextlib
import json
import re
from html.parser import HTMLParser
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.activity import Activity
from integrations.flowdock import payload
from integrations.services import SERVICES
from integrations.services.base import Service, SignatureMismatch, UnreadablePayload, WebhookService
from integrations.services.filters import clean
from integrations.services.template import Template

from .recorded import CHECKOUT, Recorded, recorded

# Also the template for new services, which is not in the registry.
EACH: dict[str, Service] = {**SERVICES, Template.name: Template()}
SENDERS = {name: service for name, service in EACH.items() if isinstance(service, WebhookService)}
EVERY = [each for service in SENDERS.values() for each in recorded(service)]
WRITTEN_BY_PEOPLE = {"title", "name", "body", "message", "description", "login", "ref", "context", "from"}
GIANT = "<b>" + "x" * 100_000
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[press](javascript:alert(1))",
    "\u202egnp.exe",
    "a\x00b",
    "half \ud800 a pair",
    "x" * 100_000,
]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def as_body(data: Any) -> bytes:
    return json.dumps(data).encode()


@pytest.mark.parametrize("service", SENDERS.values(), ids=SENDERS)
@pytest.mark.parametrize("secret", ["another", "", "sëcret"])
def test_a_request_without_the_right_secret_is_rejected(service: WebhookService, secret: str) -> None:
    signed = service.sign(b"{}", "the secret")
    service.verify(b"{}", signed, "the secret")

    for headers in (service.sign(b"{}", "another"), {}, dict.fromkeys(signed, ""), dict.fromkeys(signed, "é\udcff")):
        with pytest.raises(SignatureMismatch):
            service.verify(b"{}", headers, "the secret")
    with pytest.raises(SignatureMismatch):
        service.verify(b"{} ", signed, "the secret")
    with pytest.raises(SignatureMismatch):
        service.verify(b"{}", signed, secret)


@pytest.mark.parametrize("service", EACH.values(), ids=EACH)
def test_presets_and_titles_of_filters_are_consistent(service: Service) -> None:
    events = next(rule for rule in service.rules if rule.name == "events")
    known = {choice.value for choice in events.choices}
    assert len(known) == len(events.choices)
    assert len({choice.title for choice in events.choices}) == len(known), "no two boxes with the same title"
    assert len({preset.name for preset in service.presets}) == len(service.presets) >= 2
    for preset in service.presets:
        clean(service.rules, preset.filters)
        assert set(preset.filters.get("events", {}).get("any_of", ())) <= known
    assert f'id="{service.icon}"' in (CHECKOUT / "static" / "icons.svg").read_text()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_every_service_has_a_page_in_the_docs(service: Service) -> None:
    page = (CHECKOUT / "docs" / "services" / f"{service.name}.md").read_text()
    assert page.startswith(f"# {service.title}\n")


@pytest.mark.parametrize("service", SENDERS.values(), ids=SENDERS)
def test_set_up_steps_link_to_the_service_and_show_the_address_once(service: WebhookService) -> None:
    steps = service.setup_steps(service.clean_origin(service.origin_example)[1])
    assert sum(step.shows_address for step in steps) == 1
    links = [address for step in steps for address in Elements(step.html).addresses]
    assert links
    assert all(address.startswith("https://") for address in links)


@pytest.mark.parametrize("service", SENDERS.values(), ids=SENDERS)
def test_every_kind_with_a_handler_has_a_recorded_payload_that_is_posted(service: WebhookService) -> None:
    wordings = import_module(f"integrations.services.{service.name}.activities").ACTIVITIES

    assert {each.kind for each in recorded(service) if each.read().activity} == set(wordings)


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_a_payload_is_posted_completely_or_has_a_reason(each: Recorded) -> None:
    event = each.read()

    assert event.kind == each.kind
    if event.activity is None:
        assert event.why_not
        return
    activity = event.activity
    assert activity.author.name == event.actor, "who"
    assert activity.title, "what"
    assert activity.thread.title, "which"
    assert activity.thread.external_url.startswith("https://"), "a link"
    assert_numbered(activity)
    assert activity.thread.status or activity.thread.fields or activity.thread.keeps, "the new state"
    assert event.subject
    assert event.summary.startswith(event.actor)
    assert event.facts["events"]
    known = {choice.value for rule in each.service.rules if rule.name == "events" for choice in rule.choices}
    assert set(event.facts["events"]) <= known, "people can filter it"
    payload.write(activity, flow_token="token", uuid=UUID(int=1))


def assert_numbered(activity: Activity) -> None:
    """If people know the object by a number, the thread contains it: issue 42, pull request 7."""
    number = activity.thread_id.rpartition(":")[2]
    if not number.isdecimal():
        return
    thread = activity.thread
    texts = " ".join((activity.title, thread.title, *(field.value for field in thread.fields)))
    if activity.thread.keeps:
        texts += f" {thread.external_url}"
    assert re.search(rf"(?<!\d){number}(?!\d)", texts), "which, by its number"


def leaves(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [deeper for key, item in items for deeper in leaves(item, (*way, key))]
    return [*found, way] if way else found


def replaced(data: Any, way: tuple[Any, ...], value: Any) -> bytes:
    """`data` as JSON with `value` at the end of `way`."""
    place = value_at(data, way[:-1])
    before, place[way[-1]] = place[way[-1]], value
    try:
        return json.dumps(data).encode()
    finally:
        place[way[-1]] = before


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_hostile_text_is_harmless(each: Recorded) -> None:
    data = each.data
    texts = [way for way in leaves(data) if isinstance(value_at(data, way), str)]
    for number, way in enumerate(texts):
        try:
            event = each.read(replaced(data, way, HOSTILE[number % len(HOSTILE)]))
        except UnreadablePayload:
            continue
        texts = " ".join((event.summary, event.subject, event.actor, event.why_not))
        texts.encode()
        assert "\x00" not in texts
        if event.activity:
            json.dumps(event.activity.as_json(), ensure_ascii=False).encode()
            assert_harmless(event.activity)


def assert_harmless(activity: Activity) -> None:
    """Check the service's own output, before flowdock/payload.py sanitizes it again."""
    thread = activity.thread
    for line in (activity.title, thread.title, *(field.value for field in thread.fields)):
        assert Elements(line).tags <= {"a"}
    for html in (activity.title, activity.body, thread.title, thread.body, *(field.value for field in thread.fields)):
        elements = Elements(html)
        assert not elements.tags & {"script", "style", "img", "iframe", "form", "input", "svg"}
        assert elements.attributes <= {"href", "title", "start"}
        assert all(address.startswith(("http://", "https://", "mailto:")) for address in elements.addresses)
    for text in (activity.author.name, activity.title, activity.body, thread.title, thread.body):
        assert not set(text) & set("\x00\u202e")


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name == "href"]


def value_at(data: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        data = data[key]
    return data


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_giant_texts_are_shortened(each: Recorded) -> None:
    data = each.data
    for way in leaves(data):
        if isinstance(value_at(data, way), str) and way[-1] in WRITTEN_BY_PEOPLE:
            value_at(data, way[:-1])[way[-1]] = GIANT

    activity = each.read(json.dumps(data).encode()).activity

    if activity:
        assert len(json.dumps(activity.as_json())) < 50_000


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_a_wrong_type_is_rejected_by_its_path_or_ignored(each: Recorded) -> None:
    data, refused = each.data, 0
    for way in leaves(data):
        value = value_at(data, way)
        for wrong in ([[7.5]], 7.5) if isinstance(value, str) else ({"a": [1]}, "text"):
            if isinstance(wrong, type(value)):
                continue
            try:
                each.read(replaced(data, way, wrong))
            except UnreadablePayload as error:
                refused += 1
                named = str(error)
            else:
                continue
            assert named.startswith(".".join(map(str, way)))

    assert refused >= 2


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_a_missing_value_is_rejected_or_harmless(each: Recorded) -> None:
    data = each.data
    for way in leaves(data):
        with contextlib.suppress(UnreadablePayload):
            each.read(replaced(data, way, None))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(SENDERS)), st.text(max_size=30), st.binary(max_size=300) | JSON.map(as_body))
def test_any_body_is_an_event_or_rejected(name: str, kind: str, body: bytes) -> None:
    service = SENDERS[name]
    for each in (kind, *{each.kind for each in recorded(service)}):
        with contextlib.suppress(UnreadablePayload):
            service.read(body, service.announce(each, "delivery-1"))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_a_damaged_payload_is_an_event_or_rejected(data: st.DataObject) -> None:
    each = data.draw(st.sampled_from(EVERY))
    body = each.data
    for _ in range(data.draw(st.integers(1, 4))):
        way = data.draw(st.sampled_from(leaves(body) or [()]))
        if way:
            body = json.loads(replaced(body, way, data.draw(JSON)))

    with contextlib.suppress(UnreadablePayload):
        event = each.read(json.dumps(body).encode())
        if event.activity:
            payload.write(event.activity, flow_token="token", uuid=UUID(int=1))
