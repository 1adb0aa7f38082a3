"""Parses JSON as specified. Python's parser also accepts NaN and Infinity, and reads 1e999 as Infinity."""

import json
import math
from typing import Any, NoReturn

from hosting import hostile_json


class NotFinite(ValueError):
    """A number is not finite. The message says which one, and can be shown to the sender."""


def _no_constant(name: str) -> NoReturn:
    raise NotFinite(f"{name} is not a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotFinite(f"{digits[:20]} is not a finite number")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def loads(text: str | bytes) -> Any:
    """Parse `text`. Raises NotFinite, ValueError if it is not JSON, and RecursionError if it is nested too deeply."""
    return hostile_json.loads(text, parse_constant=_no_constant, parse_float=_finite)


def decode_first(text: str) -> tuple[Any, int]:
    """The value at the beginning of `text`, and where it ends. Raises as `loads`."""
    with hostile_json.collection_paused():
        return _DECODER.raw_decode(text)
