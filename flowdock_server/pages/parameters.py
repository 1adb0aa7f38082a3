"""Parameters of pages, from the query of an address or from a form."""

from django.core.exceptions import BadRequest
from django.http import QueryDict

from flowdock_server.parsing.numbers import whole_number


def text(given: QueryDict, name: str) -> str:
    """Without NUL, which PostgreSQL refuses. Empty where the parameter is absent."""
    return given.get(name, "").replace("\x00", "")


def number(given: QueryDict, name: str) -> int | None:
    """None where the parameter is absent or empty. Raises BadRequest for what is not a whole number."""
    value = given.get(name, "")
    if not value:
        return None
    if (found := whole_number(value)) is None:
        raise BadRequest(f"{name} is not a whole number")
    return found


def required_number(given: QueryDict, name: str) -> int:
    """Raises BadRequest for what is not a whole number, or where the parameter is absent."""
    if (found := number(given, name)) is None:
        raise BadRequest(f"{name} is missing")
    return found
