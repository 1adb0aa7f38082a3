"""Reading what strangers send: a value of the right type, or UnreadablePayload that names the path."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.services.base import LONGEST, ParsedEvent, Payload, UnreadablePayload

ISSUE = Payload(
    {
        "issue": {
            "number": 7,
            "title": "Emoji",
            "url": "https://example.com",
            "labels": [{"name": "bug"}, 3],
            "at": "soon",
        }
    }
)


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: ISSUE.text("issue.body"), "issue.body is missing"),
        (lambda: ISSUE.text("issue.number"), "issue.number is not a string"),
        (lambda: ISSUE.number("issue.title"), "issue.title is not an integer"),
        (lambda: ISSUE.text("issue.title.plain"), "issue.title is not an object"),
        (lambda: ISSUE.url("issue.title"), "issue.title is not an http"),
        (lambda: ISSUE.flag("issue.title"), "issue.title is not true or false"),
        (lambda: list(ISSUE.objects("issue.labels")), "issue.labels.1 is not an object"),
        (lambda: ISSUE.texts("issue.labels"), "issue.labels.0 is not a string"),
        (lambda: ISSUE.object("issue").object("title"), "issue.title is not an object"),
        (lambda: next(ISSUE.objects("issue.labels")).text("colour"), "issue.labels.0.colour is missing"),
        (lambda: ISSUE.maybe_time("issue.at"), "issue.at is not an ISO 8601 time"),
        (lambda: Payload({"number": 2**64}).number("number"), "number is too large"),
        (lambda: Payload({"number": True}).number("number"), "number is not an integer"),
        (lambda: Payload({"url": f"https://example.com/{'x' * 3000}"}).url("url"), "url is longer than"),
        (lambda: Payload({"url": "javascript:alert(1)"}).url("url"), "url is not an http"),
    ],
)
def test_what_is_missing_or_of_another_type_is_named(read: Callable[[], Any], words: str) -> None:
    with pytest.raises(UnreadablePayload, match=words):
        read()


@pytest.mark.parametrize("value", ["javascript:alert(1)", "plain", 7, ["https://a.example"], f"https://a/{'x' * 3000}"])
def test_address_that_a_post_can_do_without_is_empty_where_it_cannot_be_a_link(value: object) -> None:
    assert Payload({"url": value}).maybe_url("url") == ""


def test_absent_and_null_are_empty_where_they_may_be() -> None:
    payload = Payload({"null": None})

    for path in ("null", "null.deeper", "absent"):
        assert payload.maybe_text(path) == ""
        assert payload.maybe_url(path) == ""
        assert payload.maybe_number(path) is None
        assert payload.flag(path) is False
        assert list(payload.objects(path)) == []
        assert payload.texts(path) == ()
        assert payload.maybe_time(path) is None
        assert path not in payload


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": -Infinity}', "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"a": "\xed\xa0\x80"}', "not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_body_that_is_no_json_object_is_unreadable(body: bytes, words: str) -> None:
    with pytest.raises(UnreadablePayload, match=words):
        Payload.from_json(body)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("a\\u0000b", "a\ufffdb"),
        ("half \\ud800 a pair", "half \ufffd a pair"),
        ("whole \\ud83e\\udd8a pair", "whole 🦊 pair"),
        ("\\u202egnp.exe", "gnp.exe"),
        ("שלום", "שלום"),
        ("two\\nlines", "two\nlines"),
    ],
)
def test_text_is_what_a_database_can_store_and_a_page_can_show(sent: str, read: str) -> None:
    assert Payload.from_json(f'{{"text": "{sent}"}}').text("text") == read


def test_last_of_two_keys_counts() -> None:
    assert Payload.from_json(b'{"a": 1, "a": 2}').number("a") == 2


def test_event_fits_its_line_in_the_log() -> None:
    event = ParsedEvent(**dict.fromkeys(LONGEST, "word \n" * 1000))

    for name, longest in LONGEST.items():
        value = getattr(event, name)
        assert len(value) <= longest
        assert value.endswith("…")
        assert "\n" not in value


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=10,
)
VERBS: dict[str, type | tuple[type, ...]] = {
    "text": str, "maybe_text": str, "number": int, "maybe_number": (int, type(None)), "flag": bool, "url": str,
    "maybe_url": str, "object": Payload, "texts": tuple,
}  # fmt: skip


@given(st.dictionaries(st.sampled_from("ab"), values), st.lists(st.sampled_from("ab"), min_size=1, max_size=3))
def test_every_verb_gives_its_type_or_names_a_path_on_the_way(data: dict[str, Any], way: list[str]) -> None:
    payload, path = Payload.from_json(json.dumps(data)), ".".join(way)
    for verb, kind in VERBS.items():
        try:
            value = getattr(payload, verb)(path)
        except UnreadablePayload as error:
            value = error
        if isinstance(value, UnreadablePayload):
            assert str(value).startswith(way[0])
        else:
            assert isinstance(value, kind)
    with contextlib.suppress(UnreadablePayload):
        assert all(isinstance(item, Payload) for item in payload.objects(path))
