"""What integrations posted and filtered in the last two weeks, by day: for charts and counters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from .models import Delivery

DAYS = 14


@dataclass(slots=True)
class Day:
    date: dt.date
    posted: int = 0
    filtered: int = 0


@dataclass(slots=True)
class History:
    """`days` are the last DAYS days, the oldest first; the counts cover the same days."""

    days: list[Day]
    by_state: dict[str, int] = field(default_factory=dict)

    @property
    def received(self) -> int:
        return sum(self.by_state.values())

    @property
    def posted(self) -> int:
        return self.by_state.get(Delivery.State.DELIVERED, 0)

    @property
    def filtered(self) -> int:
        return self.by_state.get(Delivery.State.FILTERED, 0)

    @property
    def waiting(self) -> int:
        return self.by_state.get(Delivery.State.PENDING, 0)

    @property
    def failed(self) -> int:
        return self.by_state.get(Delivery.State.FAILED, 0)


def histories(integration_ids: Iterable[int]) -> dict[int, History]:
    """The history of each integration, in one query."""
    today = timezone.localdate()
    dates = [today - dt.timedelta(days=age) for age in reversed(range(DAYS))]
    found = {pk: History([Day(date) for date in dates]) for pk in integration_ids}
    begin = timezone.make_aware(dt.datetime.combine(dates[0], dt.time.min))
    rows = (
        Delivery.objects.filter(integration__in=found, created_at__gte=begin)
        .order_by()
        .values("integration", "state", date=TruncDate("created_at"))
        .annotate(number=Count("id"))
    )
    for row in rows:
        history = found[row["integration"]]
        history.by_state[row["state"]] = history.by_state.get(row["state"], 0) + row["number"]
        age = (today - row["date"]).days
        if 0 <= age < DAYS:
            day = history.days[DAYS - 1 - age]
            if row["state"] == Delivery.State.DELIVERED:
                day.posted += row["number"]
            elif row["state"] == Delivery.State.FILTERED:
                day.filtered += row["number"]
    return found
