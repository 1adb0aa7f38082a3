"""Template filters of polls."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

register = template.Library()


@register.filter
def organization_name(key: str, names: Mapping[str, str]) -> str:
    """The name of the organization `key`."""
    return names.get(key, key)
