"""JSON that is nested too deeply is refused, and costs no other object its finalizer."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from hosting import hostile_json

DEEP = "[" * 100_000


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The errors that nobody could handle."""
    errors: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", errors.append)
    thresholds = gc.get_threshold()
    gc.freeze()  # the collections below look at their own garbage only
    yield errors
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Garbage:
    """Only the garbage collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_deep_nesting_loses_no_finalizer(lost: list[Any]) -> None:
    finalized = 0

    def finalize() -> None:
        nonlocal finalized
        finalized += 1

    depths = range(sys.getrecursionlimit() - 250, sys.getrecursionlimit() + 50)
    for depth in depths:
        gc.set_threshold(0)
        gc.collect()
        weakref.finalize(Garbage(), finalize)
        gc.set_threshold(depth)  # without a pause, garbage is collected at about this depth
        with pytest.raises((ValueError, RecursionError)):
            hostile_json.loads(DEEP)
    gc.collect()

    assert not lost
    assert finalized == len(depths)


@pytest.mark.parametrize("text", ['{"a": [1, "b"]}', "[" * 1_000_000, "nonsense"])
def test_garbage_is_collected_again_afterwards(text: str) -> None:
    with contextlib.suppress(ValueError, RecursionError):
        hostile_json.loads(text)

    assert gc.isenabled()


def test_garbage_is_collected_again_when_the_last_of_two_threads_has_parsed() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def parse() -> None:
        with hostile_json.collection_paused():
            begun.set()
            may_end.wait(10)

    thread = threading.Thread(target=parse)
    thread.start()
    begun.wait(10)
    hostile_json.loads("[]")
    during = gc.isenabled()
    may_end.set()
    thread.join()

    assert (during, gc.isenabled()) == (False, True)


def test_a_collector_that_was_disabled_stays_so() -> None:
    gc.disable()
    try:
        hostile_json.loads("[]")
        assert not gc.isenabled()
    finally:
        gc.enable()
