"""Recorded payloads: those in the folders of these tests, and a larger folder next to the checkout."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrations.services.base import ParsedEvent, WebhookService

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
CORPUS = Path(os.environ.get("CORPUS") or CHECKOUT.parent / "shared" / "payloads")
SECRET = "fdb_not-a-secret"


@dataclass(frozen=True)
class Recorded:
    """A payload with its headers. The name of its file begins with the kind: `issues.opened.json`."""

    service: WebhookService
    path: Path

    def __str__(self) -> str:
        return self.path.stem

    @property
    def kind(self) -> str:
        return self.path.name.rpartition("-")[2].partition(".")[0]

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def headers(self) -> dict[str, str]:
        return self.service.announce(self.kind, "72d3162e-cc78-11e3-81ab-4c9367dc0958")

    def read(self, body: bytes | None = None, **headers: str) -> ParsedEvent:
        return self.service.read(self.body if body is None else body, {**self.headers, **headers})

    def changed(self, changes: Mapping[str, Any], **headers: str) -> ParsedEvent:
        """Read it with `changes` by dotted path; items of lists are numbers in the path. None removes a value."""
        data = self.data
        for path, value in changes.items():
            *way, last = path.split(".")
            place = data
            for key in way:
                place = place[int(key) if isinstance(place, list) else key]
            if value is None:
                place.pop(last, None)
            else:
                place[last] = value
        return self.read(json.dumps(data).encode(), **headers)


def recorded(service: WebhookService, folder: Path | None = None) -> Iterator[Recorded]:
    for path in sorted((folder or HERE / service.name).glob("*.json")):
        yield Recorded(service, path)
