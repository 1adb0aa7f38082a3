"""The filters of the team inbox: views (To do, Unread, Done, All), source, status and words."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.db.models import Count, Max, Q
from django.http import QueryDict

from flowdock_server.models import Flow, Source, Thread
from flowdock_server.models.messages import ThreadQuerySet
from flowdock_server.pages import parameters

PAGE = 50  # threads
MAX_STATUSES = 12  # statuses are free text, so only the most frequent are offered
MAX_WORDS = 8
MAX_SEARCH = 200  # characters
# The values of `show`, and their labels. The default is what is not marked as done.
SHOWN = {"": "To do", "unread": "Unread", "done": "Done", "all": "All"}


@dataclass(frozen=True)
class Choice:
    """One choice of a filter. `query` is the query string that selects it."""

    label: str
    count: int
    query: str
    chosen: bool
    color: str = ""
    removed: bool = False


@dataclass(frozen=True)
class Group:
    """Counts for the threads of one source with one status: those in the view, and those unread and not done."""

    source: int | None
    status: str
    color: str
    shown: int
    unread: int


@dataclass(frozen=True)
class Filters:
    source: int | None = None
    status: str = ""
    words: str = ""
    show: str = ""
    _counted: dict[Flow, list[Group]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, query: QueryDict) -> Filters:
        show = query.get("show", "")
        if show not in SHOWN:
            raise BadRequest("show is not one of the views")
        return cls(
            source=parameters.number(query, "source"),
            status=parameters.text(query, "status"),
            words=parameters.text(query, "q").strip()[:MAX_SEARCH],
            show=show,
        )

    @property
    def query(self) -> str:
        """The query string; empty without filters."""
        given = {"source": self.source, "status": self.status, "q": self.words, "show": self.show}
        kept = {name: value for name, value in given.items() if value}
        return "?" + urlencode(kept) if kept else ""

    def threads(self, flow: Flow) -> ThreadQuerySet:
        """The threads that pass the filters, with `is_unread` and `is_done` for the person of `flow.membership`."""
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
        """The sources of the threads in the view, those with most threads first."""
        counts: Counter[int] = Counter()
        for group in self._groups(flow):
            if group.source is not None and group.shown:
                counts[group.source] += group.shown
        named = Source.objects.in_bulk(list(counts))
        return [
            Choice(
                label=named[source].name,
                count=count,
                query=replace(self, source=source).query,
                chosen=source == self.source,
                removed=named[source].removed_at is not None,
            )
            for source, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if source in named
        ]

    def statuses(self, flow: Flow) -> list[Choice]:
        """The most frequent statuses. The selected one links back to all."""
        counts: Counter[str] = Counter()
        colors: dict[str, str] = {}
        for group in self._groups(flow):
            if group.status and group.shown:
                counts[group.status] += group.shown
                colors[group.status] = max(colors.get(group.status, ""), group.color)
        commonest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_STATUSES]
        return [
            Choice(
                label=status,
                count=count,
                query=replace(self, status="" if status == self.status else status).query,
                chosen=status == self.status,
                color=colors[status],
            )
            for status, count in commonest
        ]

    def views(self, flow: Flow) -> list[Choice]:
        """The four views; Unread has a count."""
        unread = sum(group.unread for group in self._groups(flow))
        return [
            Choice(
                label=label,
                count=unread if show == "unread" else 0,
                query=replace(self, show=show).query,
                chosen=show == self.show,
            )
            for show, label in SHOWN.items()
        ]

    def total(self, flow: Flow) -> int:
        return sum(group.shown for group in self._groups(flow))

    def _groups(self, flow: Flow) -> list[Group]:
        """All counts, from one scan of the flow's threads by the index `threads_counted`."""
        if flow not in self._counted:
            rows = (
                flow.threads.in_inbox()
                .with_marks_of(flow.membership)
                .order_by()
                .values("source", "status_value")
                .annotate(
                    color=Max("status_color", filter=self._is_shown),
                    shown=Count("pk", filter=self._is_shown),
                    unread=Count("pk", filter=Q(is_unread=True, is_done=False)),
                )
                .values_list("source", "status_value", "color", "shown", "unread")
            )
            self._counted[flow] = [
                Group(source, status, color or "", shown, unread) for source, status, color, shown, unread in rows
            ]
        return self._counted[flow]

    @property
    def _is_shown(self) -> Q:
        match self.show:
            case "":
                return Q(is_done=False)
            case "unread":
                return Q(is_unread=True, is_done=False)
            case "done":
                return Q(is_done=True)
            case _:
                return Q(pk__isnull=False)

    def _shown(self, flow: Flow) -> ThreadQuerySet:
        threads = flow.threads.in_inbox().with_marks_of(flow.membership)
        return threads.filter(self._is_shown) if self.show != "all" else threads

    @property
    def without_source(self) -> str:
        return replace(self, source=None).query


@dataclass(frozen=True)
class Page:
    """One page of the list; `next_cursor` continues it, and is empty on the last page."""

    threads: list[Thread]
    next_cursor: str


def page(threads: ThreadQuerySet, cursor: str) -> Page:
    """The threads after `cursor`, the position of the last one shown, so that new threads do not shift the pages."""
    if cursor:
        updated_at, thread_id = _read_cursor(cursor)
        threads = threads.before(updated_at, thread_id)
    found = list(threads[: PAGE + 1])
    shown = found[:PAGE]
    return Page(shown, cursor_of(shown[-1]) if len(found) > PAGE else "")


def cursor_of(thread: Thread) -> str:
    """The thread's position in the list. As text, that of a newer thread is greater."""
    return f"{int(thread.updated_at.timestamp()):010}.{thread.updated_at.microsecond:06}_{thread.pk}"


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    parts = re.fullmatch(r"([0-9]{10})\.([0-9]{6})_([\w-]+)", cursor, re.ASCII)
    if parts is None:
        raise BadRequest("before is not the position of a thread")
    seconds, microseconds, thread_id = parts.groups()
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds)), thread_id
