"""SQL that is made once and executed often.

For a row or two, Django takes several times longer to write the SQL than the database takes to execute it. Calls that
are made hundreds of times a second use these instead of a queryset, `save` or `bulk_create`. They do not send signals,
and do not read or write deferred fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators

R = TypeVar("R")

MOST_PARAMETERS = 900  # of one statement: SQLite may allow no more than 999


class _Compiled(NamedTuple):
    """A statement; its parameters, each a constant or the place of a value; and how its rows become objects."""

    sql: str
    parameters: list[tuple[Any, int | None]]
    converters: list[tuple[int, list[Callable[..., Any]], Any]]
    model: type[Any] | None  # None for rows of `values_list`
    fields: list[str]
    first: int
    related: list[Any]


class Lookup(Generic[R]):
    """A query that `make` writes from its values: texts, ids, UUIDs, and lists of them.

    Returns a list of objects, or of lists if `make` uses `values_list`.

    `make` is called once for each database and each length of a list. It may put its values only where they become
    parameters of the SQL: `filter(pk=value)` and `filter(pk__in=values)`, and neither slices nor conditions in Python.
    """

    def __init__(self, make: Callable[..., QuerySet[Any, R]]) -> None:
        self._make = make
        self._compiled: dict[tuple[Any, ...], _Compiled] = {}

    def __call__(self, *values: Any) -> list[R]:
        key = (connection.vendor, *(len(value) if isinstance(value, list) else None for value in values))
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = _compile(self._make, values)
        flat = _flat(values)
        parameters = [constant if place is None else _adapted(flat[place]) for constant, place in compiled.parameters]
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, parameters)
            rows = cursor.fetchall()
        return [_object(compiled, list(row)) for row in rows]


def _flat(values: Iterable[Any]) -> list[Any]:
    return [each for value in values for each in (value if isinstance(value, list) else [value])]


def _adapted(value: Any) -> Any:
    """`value` as the database's driver takes it."""
    if isinstance(value, UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value


def _object(compiled: _Compiled, row: list[Any]) -> Any:
    for place, converters, expression in compiled.converters:
        for convert in converters:
            row[place] = convert(row[place], expression, connection)
    if compiled.model is None:
        return row
    first = compiled.first
    found = compiled.model.from_db(connection.alias, compiled.fields, row[first : first + len(compiled.fields)])
    for related in compiled.related:
        related.populate(row, found)
    return found


def _compile(make: Callable[..., QuerySet[Any, Any]], values: Sequence[Any]) -> _Compiled:
    """Write the SQL with marks in the places of the values, and find where the marks are."""
    marks: list[Any] = []
    marked = [_marked(value, marks) for value in values]
    rows: Any = make(*marked)
    compiler = rows.query.get_compiler(connection.alias)
    sql, parameters = compiler.as_sql()
    places = {_adapted(mark): place for place, mark in enumerate(marks)}
    compiled = [(parameter, places.get(parameter)) for parameter in parameters]
    if {place for _, place in compiled if place is not None} != set(range(len(marks))):
        raise ValueError("a value does not become a parameter of the SQL")
    found = compiler.get_converters([each[0] for each in compiler.select])
    converters = [(place, list(functions), expression) for place, (functions, expression) in found.items()]
    if rows._fields is not None:  # of `values_list`
        return _Compiled(sql, compiled, converters, None, [], 0, [])
    info = compiler.klass_info
    start, end = info["select_fields"][0], info["select_fields"][-1] + 1
    return _Compiled(
        sql,
        compiled,
        converters,
        info["model"],
        [each[0].target.attname for each in compiler.select[start:end]],
        start,
        get_related_populators(info, compiler.select, connection.alias),  # type: ignore[call-arg]  # of a later Django
    )


def _marked(value: Any, marks: list[Any]) -> Any:
    if isinstance(value, list):
        return [_marked(each, marks) for each in value]
    number = len(marks)
    mark: Any = f"<mark {number}>"
    if isinstance(value, UUID):
        mark = UUID(int=(0xF10D << 112) + number)
    elif isinstance(value, int):
        mark = -1_000_000_007 - number
    marks.append(mark)
    return mark


def insert(objects: Sequence[Model]) -> None:
    """Insert new objects of one model. A key that the database makes is set in each of them."""
    model = type(objects[0])
    statement = _insertion(model, is_keyed=objects[0].pk is not None)
    size = max(1, MOST_PARAMETERS // len(statement.fields))
    for start in range(0, len(objects), size):
        rows = objects[start : start + size]
        values = ", ".join([statement.row] * len(rows))
        parameters = [_saved(field, each) for each in rows for field in statement.fields]
        with connection.cursor() as cursor:
            cursor.execute(f"{statement.start} {values}{statement.returning}", parameters)
            if statement.returning:
                # The keys ascend in the order of the rows.
                for each, (key,) in zip(rows, sorted(cursor.fetchall()), strict=True):
                    each.pk = key
    for each in objects:
        each._state.adding, each._state.db = False, connection.alias


def update(objects: Sequence[Model], *names: str) -> None:
    """Update these fields of stored objects of one model."""
    model = type(objects[0])
    sql, fields = _changing(model, names)
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[_saved(field, each) for field in fields] for each in objects])


def change(model: type[Model], key: Any, **values: Any) -> None:
    """Update these fields of the row with this key."""
    sql, fields = _changing(model, tuple(values))
    with connection.cursor() as cursor:
        found = zip(fields, (*values.values(), key), strict=True)
        cursor.execute(sql, [field.get_db_prep_save(value, connection) for field, value in found])


def _saved(field: Any, owner: Model) -> Any:
    return field.get_db_prep_save(field.pre_save(owner, owner._state.adding), connection)


class _Insertion(NamedTuple):
    start: str
    row: str
    returning: str
    fields: list[Any]


@cache
def _insertion(model: type[Model], *, is_keyed: bool) -> _Insertion:
    quote = connection.ops.quote_name  # the same for both databases
    fields: list[Any] = [field for field in model._meta.concrete_fields if is_keyed or not field.primary_key]
    columns = ", ".join(quote(field.column) for field in fields)
    return _Insertion(
        f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES",
        f"({', '.join(['%s'] * len(fields))})",
        "" if is_keyed else f" RETURNING {quote(_key(model).column)}",
        fields,
    )


@cache
def _changing(model: type[Model], names: tuple[str, ...]) -> tuple[str, list[Any]]:
    """The statement, and the fields whose values are its parameters."""
    quote = connection.ops.quote_name
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    table, key = quote(model._meta.db_table), _key(model)
    return f"UPDATE {table} SET {columns} WHERE {quote(key.column)} = %s", [*fields, key]  # noqa: S608


def _key(model: type[Model]) -> Any:
    return model._meta.pk
