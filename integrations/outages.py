"""What an error of the database means: it is not available, its tables are missing, or one row cannot be used."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError

UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"  # PostgreSQL's codes
# PostgreSQL's class of codes for tables, columns and permissions that are missing.
ACCESS_RULE_VIOLATION = "42"
# What a single row can raise: the database refuses to write it, or one of its columns cannot be read.
ROW_ERRORS = (DatabaseError, ValueError, RecursionError)


def is_unmigrated(error: DatabaseError) -> bool:
    """Whether a table or column is missing: `migrate` has to run, and waiting does not help."""
    if getattr(error.__cause__, "sqlstate", None) in {UNDEFINED_TABLE, UNDEFINED_COLUMN}:
        return True
    # SQLite has one class and no code for this and for a file that cannot be read.
    return isinstance(error, OperationalError) and str(error).startswith(("no such table", "no such column"))


def outage_reason(error: DatabaseError | InterfaceError) -> str:
    """Why the database cannot be used now, in a line for the log; empty if the error is about a single query."""
    first_line = str(error).partition("\n")[0]
    if isinstance(error, DatabaseError) and is_unmigrated(error):
        return f"the database was not migrated, run `manage.py migrate`: {first_line}"
    if isinstance(error, OperationalError | InterfaceError):
        return f"the database is not available: {first_line or type(error).__name__}"
    return ""


def is_row_error(error: Exception) -> bool:
    """Whether one of ROW_ERRORS comes from a row: the database is available, migrated and lets us use its tables."""
    if isinstance(error, OperationalError | InterfaceError):
        return False
    return not str(getattr(error.__cause__, "sqlstate", "")).startswith(ACCESS_RULE_VIOLATION)
