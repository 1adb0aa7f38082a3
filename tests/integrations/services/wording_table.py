"""The expected wording of a service's recorded payloads: wording.txt has a line for each that is posted."""

from __future__ import annotations

import re

from integrations.activity import Activity
from integrations.services import SERVICES
from integrations.services.base import ParsedEvent, WebhookService

from .recorded import HERE, Recorded, recorded

LINK = re.compile(r'<a href="[^"]+">(.*?)</a>')


class WordingTable:
    def __init__(self, name: str) -> None:
        service = SERVICES[name]
        assert isinstance(service, WebhookService)
        self.service = service

    def read(self, name: str) -> ParsedEvent:
        return Recorded(self.service, HERE / self.service.name / f"{name}.json").read()

    def activity_of(self, name: str) -> Activity:
        activity = self.read(name).activity
        assert activity is not None
        return activity

    def rows(self) -> list[tuple[str, ...]]:
        """Each line: file | author | title, with links in brackets | thread id | status and color | event type."""
        lines = (HERE / self.service.name / "wording.txt").read_text().splitlines()
        return [tuple(cell.strip() for cell in line.split("|")) for line in lines]

    def row(self, name: str) -> tuple[str, ...]:
        """The actual line of a payload."""
        event = self.read(name)
        activity = event.activity
        assert activity is not None, event.why_not
        status = activity.thread.status
        return (
            name,
            activity.author.name,
            LINK.sub(r"[\1]", activity.title),
            activity.thread_id,
            f"{status.value} {status.color}" if status else "-",
            *event.facts["events"],
        )

    def files(self) -> set[str]:
        return {each.path.stem for each in recorded(self.service)}
