"""What of a flow's team inbox is shown: what is not done, one source, one status, what has certain words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.db.models import Case, Count, F, FilteredRelation, Max, Q, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.http import QueryDict

from flowdock_server.models import Flow, Thread
from flowdock_server.models.messages import ThreadQuerySet

PAGE = 50  # threads
MAX_STATUSES = 12  # statuses are free text: the commonest are offered
MAX_WORDS = 8
MAX_SEARCH = 200  # characters
# What `show` may be, and its words. Without it: what is not marked as done.
SHOWN = {"": "Open", "unread": "Unread", "done": "Done", "all": "All"}


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
    show: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> Filters:
        source = query.get("source", "")
        if source and not (source.isascii() and source.isdecimal() and len(source) < 19):
            raise BadRequest("source is no number")
        show = query.get("show", "")
        if show not in SHOWN:
            raise BadRequest("show is none of those")
        return cls(
            source=int(source) if source else None,
            status=_text(query.get("status", "")),
            words=_text(query.get("q", "")).strip()[:MAX_SEARCH],
            show=show,
        )

    @property
    def query(self) -> str:
        """To append to an address; empty where nothing is filtered."""
        given = {"source": self.source, "status": self.status, "q": self.words, "show": self.show}
        kept = {name: value for name, value in given.items() if value}
        return "?" + urlencode(kept) if kept else ""

    def threads(self, flow: Flow) -> ThreadQuerySet:
        """Each has `is_unread` and `is_done`, for the person whose `membership` the flow has."""
        found = self._shown(flow).select_related("source__application").newest_first()
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
            self._shown(flow)
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
            self._shown(flow)
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

    def views(self, flow: Flow) -> list[Choice]:
        """What is open, unread, done, and all. How many are unread is worth a number."""
        return [
            Choice(
                label=label,
                count=unread_count(flow) if show == "unread" else 0,
                query=replace(self, show=show).query,
                chosen=show == self.show,
            )
            for show, label in SHOWN.items()
        ]

    def total(self, flow: Flow) -> int:
        return self._shown(flow).count()

    def _shown(self, flow: Flow) -> ThreadQuerySet:
        threads = marked(inbox(flow), flow)
        match self.show:
            case "":
                return threads.filter(is_done=False)
            case "unread":
                return threads.filter(is_unread=True, is_done=False)
            case "done":
                return threads.filter(is_done=True)
            case _:
                return threads

    @property
    def without_source(self) -> str:
        return replace(self, source=None).query

    @property
    def is_narrow(self) -> bool:
        """Whether less than the whole inbox's open threads are shown."""
        return bool(self.query)


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


def marked(threads: ThreadQuerySet, flow: Flow) -> ThreadQuerySet:
    """With `is_done` and `is_unread`: what is marked as done is so until something new happens to it."""
    membership = flow.membership
    return threads.alias(
        mark=FilteredRelation("marks", condition=Q(marks__user=membership.user_id)),
        read_to=Coalesce(F("mark__read_number"), Value(0)),
    ).annotate(
        is_done=Case(When(mark__done_at__gte=F("updated_at"), then=Value(True)), default=Value(False)),
        is_unread=Case(
            When(last_number__gt=Greatest(F("read_to"), Value(membership.inbox_read_number)), then=Value(True)),
            default=Value(False),
        ),
    )


def unread_count(flow: Flow) -> int:
    return marked(inbox(flow), flow).filter(is_unread=True, is_done=False).count()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    parts = re.fullmatch(r"([0-9]{10})\.([0-9]{6})_([\w-]+)", cursor, re.ASCII)
    if parts is None:
        raise BadRequest("before names no thread")
    seconds, microseconds, thread_id = parts.groups()
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds)), thread_id


def _text(value: str) -> str:
    # PostgreSQL refuses the character that no text contains.
    return value.replace("\x00", "")
