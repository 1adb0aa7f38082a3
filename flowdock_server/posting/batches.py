"""Runs the work of several threads together, so that what they wait for is paid once: a lock, a commit, a statement."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum, auto
from typing import Generic, TypeVar

J = TypeVar("J")


class _Turn(Enum):
    DONE = auto()  # another thread has run the job
    LEAD = auto()  # run it now, together with those that wait
    ALONE = auto()  # run it by itself: it was in a batch that failed


class _Waiting(Generic[J]):
    def __init__(self, job: J) -> None:
        self.job = job
        self.turn = _Turn.ALONE
        self._has_turn = threading.Event()

    def give(self, turn: _Turn) -> None:
        self.turn = turn
        self._has_turn.set()

    def wait(self) -> _Turn:
        self._has_turn.wait()
        return self.turn


class Batches(Generic[J]):
    """Calls `run` with the jobs of a key, one batch after the other and in the order in which they came.

    The first thread runs its job at once. Jobs that come in the meantime wait, and one of their threads then runs them
    together, at most `most`. Nobody waits for others to come. If `run` raises an exception for a batch, which must have
    no effect then, each thread runs its own job alone: no job fails because of another one.
    """

    def __init__(self, run: Callable[[list[J]], None], most: int) -> None:
        self._run = run
        self._most = most
        self._lock = threading.Lock()
        # By key, those that wait; a key is there while one of its threads runs a batch.
        self._queues: dict[Hashable, deque[_Waiting[J]]] = {}

    def add(self, key: Hashable, job: J) -> None:
        """Return when `job` was run. Raises what `run` raises for it alone."""
        own = _Waiting(job)
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = deque()
            else:
                queue.append(own)
        turn = _Turn.LEAD if queue is None else own.wait()
        if turn is _Turn.LEAD:
            turn = self._lead(key, own)
        if turn is _Turn.ALONE:
            self._run([job])

    def _lead(self, key: Hashable, own: _Waiting[J]) -> _Turn:
        """Run `own` with those that wait, and let the next thread begin."""
        with self._lock:
            queue = self._queues[key]
            batch = [own, *(queue.popleft() for _ in range(min(len(queue), self._most - 1)))]
        turn = _Turn.ALONE
        try:
            self._run([each.job for each in batch])
            turn = _Turn.DONE
        except Exception:
            if len(batch) == 1:
                raise
        finally:
            with self._lock:
                following = queue.popleft() if queue else None
                if following is None:
                    del self._queues[key]
            if following:
                following.give(_Turn.LEAD)
            for each in batch[1:]:
                each.give(turn)
        return turn
