"""What both projects log, and how: one line for each record, as text or as JSON.

A record's fields are those of its `extra=fields(...)` and those of the `context` that it was logged in. Nothing else of
a record is written, so a request or a payload that some library attaches to it never reaches a log.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

MAX_MESSAGE = 2000  # characters
MAX_FIELD = 300
MAX_TRACEBACK = 20_000
CUT = " … (cut)"

# What would begin a new line, or change what a terminal shows; and half characters, which UTF-8 cannot contain.
_UNPRINTABLE = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
} | {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}

_context: ContextVar[dict[str, Any] | None] = ContextVar("log_context", default=None)


def fields(**values: Any) -> dict[str, Any]:
    """The `extra` of a log call that adds these fields. Those that are None or empty are left out."""
    return {"fields": values}


@contextlib.contextmanager
def context(**values: Any) -> Iterator[None]:
    """Add these fields to every record that is logged in the block, by this thread or task."""
    token = _context.set({**(_context.get() or {}), **values})
    try:
        yield
    finally:
        _context.reset(token)


def configuration(level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: everything goes to standard error, as lines of text or, if `form` is "json", as JSON.

    A project adds its own `loggers`.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": "hosting.logs.TextFormatter"},
            "json": {"()": "hosting.logs.JsonLineFormatter"},
        },
        "filters": {"one_line": {"()": "hosting.logs.OneLine"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            # A client that uses other host names could fill the disk with tracebacks.
            "django.security.DisallowedHost": {"filters": ["one_line"]},
        },
    }


class OneLine(logging.Filter):
    """Turns a record into a warning of one line, without the traceback.

    For events that anybody can cause from outside, such as a request with a wrong host name. With tracebacks, they
    would fill the disk and hide real errors.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        return True


class TextFormatter(logging.Formatter):
    """`time LEVEL logger: message name=value …`; a traceback follows in lines of its own, indented."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [f"{self.formatTime(record)} {record.levelname} {record.name}: {_printable(_message(record))}"]
        parts += [f"{name}={_quoted(value)}" for name, value in _fields(record).items()]
        line = " ".join(parts)
        if record.exc_info:
            # Indented, so that no line of it can pass for a record.
            lines = _end(self.formatException(record.exc_info)).splitlines()
            line += "".join(f"\n    {_printable(each)}" for each in lines)
        return line


class JsonLineFormatter(JsonFormatter):
    """A JSON object in one line: time (ISO 8601, UTC), level, logger, message, the fields and, if any, traceback."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        log_data["time"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = _whole(_message(record))
        for name, value in _fields(record).items():
            log_data.setdefault(name, _whole(value) if isinstance(value, str) else value)
        if traceback := message_dict.get("exc_info"):
            log_data["traceback"] = _whole(_end(traceback))


def _message(record: logging.LogRecord) -> str:
    return cut(record.getMessage(), MAX_MESSAGE)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found = {**(_context.get() or {}), **getattr(record, "fields", {})}
    return {name: _value(value) for name, value in found.items() if value is not None and value != ""}


def _value(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    return cut(str(value), MAX_FIELD)


def _quoted(value: Any) -> str:
    text = _printable(str(value))
    if " " not in text and '"' not in text and "=" not in text:
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _end(traceback: str) -> str:
    """The traceback; if it is long, only its end, which names the error."""
    return traceback if len(traceback) <= MAX_TRACEBACK else f"(cut) … {traceback[-MAX_TRACEBACK:]}"


def _printable(text: str) -> str:
    return text if text.isascii() and text.isprintable() else text.translate(_UNPRINTABLE)


def _whole(text: str) -> str:
    """The text without half characters, which make JSON unreadable to many parsers."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}{CUT}"
