"""What of a flow's team inbox is shown: all of it, one source, one status, what has certain words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.db.models import Count, Max, Q
from django.http import QueryDict

from flowdock_server.models import Flow, Thread
from flowdock_server.models.messages import ThreadQuerySet

PAGE = 50  # threads
MAX_STATUSES = 12  # statuses are free text: the commonest are offered
MAX_WORDS = 8
MAX_SEARCH = 200  # characters


@dataclass(frozen=True)
class Choice:
    """A line among the filters: `query` is where it leads, from the flow's address on."""

    label: str
    count: int
    query: str
    chosen: bool
    color: str = ""
    removed: bool = False


@dataclass(frozen=True)
class Filters:
    source: int | None = None
    status: str = ""
    words: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> Filters:
        source = query.get("source", "")
        if source and not (source.isascii() and source.isdecimal() and len(source) < 19):
            raise BadRequest("source is no number")
        return cls(
            source=int(source) if source else None,
            status=_text(query.get("status", "")),
            words=_text(query.get("q", "")).strip()[:MAX_SEARCH],
        )

    @property
    def query(self) -> str:
        """To append to an address; empty where nothing is filtered."""
        given = {"source": self.source, "status": self.status, "q": self.words}
        kept = {name: value for name, value in given.items() if value}
        return "?" + urlencode(kept) if kept else ""

    def threads(self, flow: Flow) -> ThreadQuerySet:
        found = inbox(flow).select_related("source__application").newest_first()
        if self.source is not None:
            found = found.filter(source=self.source)
        if self.status:
            found = found.filter(status_value=self.status)
        for word in self.words.split()[:MAX_WORDS]:
            found = found.filter(
                Q(title__icontains=word)
                | Q(last_title__icontains=word)
                | Q(last_author__icontains=word)
                | Q(source__name__icontains=word)
            )
        return found

    def sources(self, flow: Flow) -> list[Choice]:
        """The sources that threads come from, most threads first."""
        counted = (
            inbox(flow)
            .exclude(source=None)
            .order_by()
            .values("source", "source__name", "source__removed_at")
            .annotate(count=Count("pk"))
            .order_by("-count", "source")
        )
        return [
            Choice(
                label=row["source__name"],
                count=row["count"],
                query=replace(self, source=row["source"]).query,
                chosen=row["source"] == self.source,
                removed=row["source__removed_at"] is not None,
            )
            for row in counted
        ]

    def statuses(self, flow: Flow) -> list[Choice]:
        """The commonest statuses. A chosen one leads back to all."""
        counted = (
            inbox(flow)
            .exclude(status_value="")
            .order_by()
            .values("status_value")
            .annotate(count=Count("pk"), color=Max("status_color"))
            .order_by("-count", "status_value")
        )
        return [
            Choice(
                label=row["status_value"],
                count=row["count"],
                query=replace(self, status="" if row["status_value"] == self.status else row["status_value"]).query,
                chosen=row["status_value"] == self.status,
                color=row["color"],
            )
            for row in islice(counted.iterator(), MAX_STATUSES)
        ]

    @property
    def without_source(self) -> str:
        return replace(self, source=None).query


@dataclass(frozen=True)
class Page:
    """Some threads of the list, and where the list goes on: `next_cursor`, or empty at its end."""

    threads: list[Thread]
    next_cursor: str


def page(threads: ThreadQuerySet, cursor: str) -> Page:
    """The threads after `cursor`, which names the last one that was shown: new ones do not shift what follows."""
    if cursor:
        updated_at, thread_id = _read_cursor(cursor)
        # The first condition is implied by the second, and is the one that the index can begin from.
        threads = threads.filter(updated_at__lte=updated_at).before(updated_at, thread_id)
    found = list(threads[: PAGE + 1])
    shown = found[:PAGE]
    return Page(shown, cursor_of(shown[-1]) if len(found) > PAGE else "")


def cursor_of(thread: Thread) -> str:
    """The thread's place in the list. The newer of two threads has the greater text."""
    return f"{int(thread.updated_at.timestamp()):010}.{thread.updated_at.microsecond:06}_{thread.pk}"


def inbox(flow: Flow) -> ThreadQuerySet:
    """The threads of the team inbox. A conversation that nothing from outside belongs to is the chat's."""
    return flow.threads.in_inbox().exclude(source=None, activities=0, external_comments=0)


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    parts = re.fullmatch(r"([0-9]{10})\.([0-9]{6})_([\w-]+)", cursor, re.ASCII)
    if parts is None:
        raise BadRequest("before names no thread")
    seconds, microseconds, thread_id = parts.groups()
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds)), thread_id


def _text(value: str) -> str:
    # PostgreSQL refuses the character that no text contains.
    return value.replace("\x00", "")
