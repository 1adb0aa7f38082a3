"""Errors, and the format of times."""

from datetime import UTC, datetime
from typing import NotRequired

from typing_extensions import TypedDict


class ErrorShape(TypedDict):
    message: str
    errors: NotRequired[dict[str, list[str]]]


def moment(value: datetime) -> str:
    """`value` in ISO 8601: 2014-10-29T12:00:00.000Z."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
