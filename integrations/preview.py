"""What filters would make of past events: the functions that decide on live events, applied to stored ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .models import Origin
from .services.base import UnreadablePayload

EVENTS = 200
# Larger events are skipped, because reading two hundred of them would make the page slow.
MAX_BODY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Preview:
    """Of the `considered` latest events, `posted` would be posted."""

    considered: int
    posted: int


def preview_filters(origin: Origin, filters: Mapping[str, Any]) -> Preview:
    service = origin.service_object
    considered = posted = 0
    latest = origin.events.filter(body_size__lte=MAX_BODY_BYTES).order_by("-id")[:EVENTS]
    for event in latest.iterator(chunk_size=20):
        event.origin = origin
        try:
            read = event.read_again()
        except UnreadablePayload:
            continue
        considered += 1
        posted += read.activity is not None and service.decide(read, filters).passes
    return Preview(considered, posted)
