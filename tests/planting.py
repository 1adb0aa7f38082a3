"""Quotation marks and event handlers in every text of a database, to compare the pages with those of harmless texts."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.db import models
from django.utils.html import escape

WORD = "tide"  # what the harmless texts have in them
# What takes its place, also as it is in HTML. No page knows the tag, so none shows it as one.
TEXT = """"'<>&" onfocus=alert(1) hidden x='<x>"""
HOSTILE = [TEXT, escape(TEXT)]


def plant(text: str, *app_labels: str) -> set[str]:
    """Put `text` in place of WORD, in every column of these apps; the columns that had it, as "Thread.title"."""
    planted = set()
    for app in app_labels:
        for model in apps.get_app_config(app).get_models():
            if not model._meta.managed:
                continue
            texts = [field for field in model._meta.concrete_fields if isinstance(field, TEXTS) and not is_ours(field)]
            for row in model._base_manager.all():
                changes = {field.name: _cut(_planted(getattr(row, field.name), text), field) for field in texts}
                changes = {name: value for name, value in changes.items() if value != getattr(row, name)}
                if changes:
                    model._base_manager.filter(pk=row.pk).update(**changes)
                planted |= {f"{model.__name__}.{name}" for name in changes}
    return planted


TEXTS = (models.CharField, models.TextField, models.JSONField)


def _cut(value: Any, field: models.Field[Any, Any]) -> Any:
    return value[: field.max_length] if isinstance(value, str) and field.max_length else value


def is_ours(field: models.Field[Any, Any]) -> bool:
    """What the software makes itself, of letters, digits and hyphens."""
    return field.primary_key or isinstance(field, models.SlugField)


def _planted(value: Any, text: str) -> Any:
    match value:
        case str():
            return value.replace(WORD, text)
        case list():
            return [_planted(item, text) for item in value]
        case dict():
            return {_planted(name, text): _planted(item, text) for name, item in value.items()}
    return value


def structure(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """The elements of a page in their order, each with the names of its attributes."""
    parser = _Structure()
    parser.feed(html)
    parser.close()
    return parser.elements


class _Structure(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
