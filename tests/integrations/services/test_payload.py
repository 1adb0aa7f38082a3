"""Reading payloads: values of the right type, or UnreadablePayload with the path."""

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
def test_an_error_names_a_missing_or_wrong_value(read: Callable[[], Any], words: str) -> None:
    with pytest.raises(UnreadablePayload, match=words):
        read()


@pytest.mark.parametrize("value", ["javascript:alert(1)", "plain", 7, ["https://a.example"], f"https://a/{'x' * 3000}"])
def test_an_optional_address_that_cannot_be_linked_is_empty(value: object) -> None:
    assert Payload({"url": value}).maybe_url("url") == ""


def test_optional_values_that_are_absent_or_null_are_empty() -> None:
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
def test_a_body_that_is_not_a_json_object_is_rejected(body: bytes, words: str) -> None:
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
def test_texts_are_sanitized(sent: str, read: str) -> None:
    assert Payload.from_json(f'{{"text": "{sent}"}}').text("text") == read


def test_the_last_of_two_equal_keys_counts() -> None:
    assert Payload.from_json(b'{"a": 1, "a": 2}').number("a") == 2


def test_an_event_s_texts_fit_the_columns_of_the_log() -> None:
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
def test_every_method_returns_its_type_or_names_the_path(data: dict[str, Any], way: list[str]) -> None:
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
