"""What an error of the database means: it is not available, or its tables are not there yet."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError

UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"  # PostgreSQL's codes


def is_unmigrated(error: DatabaseError) -> bool:
    """Whether a table or column is missing: `migrate` has to run, and waiting does not help."""
    if getattr(error.__cause__, "sqlstate", None) in {UNDEFINED_TABLE, UNDEFINED_COLUMN}:
        return True
    # SQLite has one class and no code for this and for a file that cannot be read.
    return isinstance(error, OperationalError) and str(error).startswith(("no such table", "no such column"))


def outage(error: DatabaseError | InterfaceError) -> str:
    """Why nothing can be read or written at present, in a line for the log; empty where the error is about a query."""
    first_line = str(error).partition("\n")[0]
    if isinstance(error, DatabaseError) and is_unmigrated(error):
        return f"the database was not migrated, run `manage.py migrate`: {first_line}"
    if isinstance(error, OperationalError | InterfaceError):
        return f"the database is not available: {first_line or type(error).__name__}"
    return ""
