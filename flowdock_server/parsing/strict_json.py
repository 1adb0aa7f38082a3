"""JSON as its standard has it. Python's own reader takes NaN and Infinity too, and makes one of 1e999."""

import json
import math
from typing import Any, NoReturn


class NotFinite(ValueError):
    """A number is not finite. The text says which, and may be shown to the sender."""


def _no_constant(name: str) -> NoReturn:
    raise NotFinite(f"{name} is not a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotFinite(f"{digits[:20]} is not a finite number")
    return number


DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def loads(text: str | bytes) -> Any:
    """The value in `text`. Raises NotFinite, ValueError for what is not JSON, and RecursionError for deep nesting."""
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
