"""JSON as its standard has it. Python's own reader takes NaN and Infinity too, and makes one of 1e999."""

import json
import math
from typing import Any


def loads(text: str | bytes) -> Any:
    """The value in `text`, whose numbers are all finite. Raises ValueError, and RecursionError for deep nesting."""
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number
