"""Shows the beginning of a received body to people; JSON with a line for each member.

Nothing is parsed, so no body can make it fail, nest too deeply or grow: 100 KB of JSON, 700 levels deep, would become a
page of 67 MB if each line were fully indented. The bytes that are read and the characters that are written are limited.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from django.db.models import BinaryField
from django.db.models.functions import Substr
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from .fields import decompress_beginning
from .models import Event

MAX_READ = 128 * 1024  # bytes of a body
MAX_WRITTEN = 256 * 1024  # characters of HTML
MAX_INDENT = 12  # levels; deeper ones are not indented further
LONGEST_ESCAPE = 6  # &quot;

# Possessive, and matching a text without its end too: otherwise, in a body that is cut off, the search for the end
# would read the whole rest again from each quotation mark.
TOKEN = re.compile(
    r'\s++|(?P<text>"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))(?P<colon>\s*+:)?'
    r'|(?P<opens>[{\[])|(?P<closes>[}\]])|(?P<sign>[:,])|[^\s"{}\[\]:,]++',
    re.DOTALL,
)
FORM = re.compile(r"[\w.-]{1,50}=(?=%7B|%5B|[{\[])", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shown:
    """`html` is for a <pre>, with names and texts marked up; `size` is that of the whole body, in bytes."""

    html: SafeString
    size: int
    is_cut: bool


def show(event: Event) -> Shown:
    """The event's body. No more of it is read than is shown."""
    stored = Substr("body", 1, MAX_READ, output_field=BinaryField())
    beginning = decompress_beginning(
        bytes(Event.objects.values_list(stored, flat=True).get(pk=event.pk) or b""), MAX_READ
    )
    size = max(event.body_size, len(beginning))  # an earlier version of the bridge did not store the size
    html, is_whole = _marked(_laid_out(beginning.decode("utf-8", "replace")))
    return Shown(html, size, is_cut=not is_whole or size > len(beginning))


def show_data(data: Any) -> SafeString:
    """JSON-compatible `data`, shown like a received body."""
    text = json.dumps(data, ensure_ascii=False).encode(errors="replace").decode()
    html, is_whole = _marked(_laid_out(text))
    return html if is_whole else format_html("{}\n…", html)


Part = tuple[str, str]  # "key", "text" or "", and characters


def _laid_out(text: str) -> Iterator[Part]:
    """JSON in lines, also if it is a field of a form; anything else unchanged."""
    if form := FORM.match(text):
        yield "", f"{form[0].removesuffix('=')} =\n"
        text = unquote_plus(text[form.end() :])
    if text.lstrip("\ufeff \t\r\n")[:1] in {"{", "["}:
        yield from _in_lines(text)
    else:
        yield "", text


def _in_lines(text: str) -> Iterator[Part]:
    depth, is_empty = 0, False
    for token in TOKEN.finditer(text):
        if token[0].isspace():
            continue
        if token["closes"]:
            depth = max(depth - 1, 0)
        if is_empty != bool(token["closes"]):
            yield "", _line(depth)
        is_empty = bool(token["opens"])
        depth += is_empty
        if token["text"]:
            yield "key" if token["colon"] else "text", token["text"]
            yield "", ": " if token["colon"] else ""
        elif token["sign"]:
            yield "", f",{_line(depth)}" if token[0] == "," else ": "
        else:
            yield "", token[0]


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, MAX_INDENT)


def _marked(parts: Iterator[Part]) -> tuple[SafeString, bool]:
    """The parts as HTML, and whether that is all of them."""
    written: list[str] = []
    room = MAX_WRITTEN
    for kind, part in parts:
        html = escape(part)
        is_whole = len(html) <= room
        if not is_whole:
            html = escape(part[: room // LONGEST_ESCAPE])
        written.append(f'<span class="{kind}">{html}</span>' if kind else html)
        room -= len(written[-1])
        if not is_whole or room <= 0:
            return mark_safe("".join(written)), False
    return mark_safe("".join(written)), True
