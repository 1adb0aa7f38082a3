"""Rows that keep their ids from the file."""

from __future__ import annotations

from typing import Any


def get_or_create_row(model: type[Any], lookup: dict[str, Any], values: dict[str, Any]) -> tuple[Any, bool]:
    """The row that `lookup` finds, unchanged, and False; else a new one and True. It keeps its id if that is free."""
    if row := model.objects.filter(**lookup).first():
        return row, False
    values = dict(values)
    if model.objects.filter(pk=values.get("id")).exists():
        del values["id"]
    row = model(**lookup, **values)
    row.save(force_insert=True)
    # save() sets some times to now, and hashes a client secret that is hashed already.
    model.objects.filter(pk=row.pk).update(**lookup, **{name: values[name] for name in values if name != "id"})
    return row, True
