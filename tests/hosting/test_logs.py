"""What a log looks like: one line a record, whatever is in it, as text or as JSON."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from hosting import logs

TEXT, JSON = logs.TextFormatter(), logs.JsonLineFormatter()


def record(message: str, *arguments: object, error: BaseException | None = None, **fields: Any) -> logging.LogRecord:
    caught = (type(error), error, None) if error else None
    made = logging.LogRecord("bridge", logging.INFO, __file__, 1, message, arguments, caught)
    made.__dict__.update(logs.fields(**fields))
    return made


def as_json(*arguments: Any, **named: Any) -> dict[str, Any]:
    line = JSON.format(record(*arguments, **named))
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def test_text_line_has_time_level_logger_message_and_fields() -> None:
    line = TEXT.format(record("accepted %s", "it", event_id=7, origin="octo/hello", ms=1.5, kind="", status=None))

    assert line.partition(" INFO ")[2] == "bridge: accepted it event_id=7 origin=octo/hello ms=1.5"


def test_json_line_has_time_level_logger_message_and_fields() -> None:
    said = as_json("accepted %s", "it", event_id=7, origin="octo/hello", kind="", status=None)

    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "INFO",
        "logger": "bridge",
        "message": "accepted it",
        "event_id": 7,
        "origin": "octo/hello",
    }


HOSTILE = 'a\nINFO bridge: forged\r\x1b[2J\x00\x85\u2028\u202e\ud800 x=1 "q"'


def test_hostile_text_cannot_begin_a_line_or_control_a_terminal() -> None:
    line = TEXT.format(record(HOSTILE, origin=HOSTILE))

    assert len(line.splitlines()) == 1
    assert line.encode()  # no half character
    assert all(character.isprintable() for character in line)
    assert 'origin="a\\x0aINFO' in line
    said = as_json(HOSTILE, origin=HOSTILE)
    assert said["message"].startswith("a\nINFO")
    assert said["message"].encode()
    assert said["origin"].encode()


@pytest.mark.parametrize("form", [TEXT, JSON])
def test_long_texts_are_cut(form: logging.Formatter) -> None:
    line = form.format(record("x" * 65536, origin="y" * 65536, error=ValueError("z" * 65536)))

    assert len(line) < 30_000
    assert "x" * 1000 in line
    assert "y" * 200 in line
    assert "zzz" in line


def test_traceback_is_a_field_in_json_and_indented_lines_in_text() -> None:
    error = ValueError("one\ntwo: INFO forged")

    assert as_json("it failed", error=error)["traceback"] == "ValueError: one\ntwo: INFO forged"
    first, *others = TEXT.format(record("it failed", error=error)).splitlines()
    assert first.endswith("bridge: it failed")
    assert others == ["    ValueError: one", "    two: INFO forged"]


def test_only_declared_fields_are_written() -> None:
    made = record("it failed", event_id=7)
    made.__dict__["request"] = "<WSGIRequest: secret>"

    assert "secret" not in TEXT.format(made)
    assert "secret" not in JSON.format(made)


def test_field_cannot_replace_what_a_line_says_itself() -> None:
    made = record("said")
    made.__dict__.update(logs.fields(message="other", level="other"))

    assert json.loads(JSON.format(made))["message"] == "said"


def test_context_adds_fields_to_every_record_in_it() -> None:
    with logs.context(request_id="r1"), logs.context(address="192.0.2.7"):
        line = TEXT.format(record("refused", reason="unreadable"))
    after = TEXT.format(record("later"))

    assert line.endswith("refused request_id=r1 address=192.0.2.7 reason=unreadable")
    assert after.endswith("bridge: later")
