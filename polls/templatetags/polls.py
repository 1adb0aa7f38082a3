"""What the polls' templates need beside the bridge's own tags."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

register = template.Library()


@register.filter
def of(key: str, names: Mapping[str, str]) -> str:
    """The name of the organization `key`, from `names` by key."""
    return names.get(key, key)
