"""How this service creates the wording of an event, and says that it does not support one."""

from __future__ import annotations

from collections.abc import Callable

from integrations.services.base import Payload
from integrations.services.wording import Entity, RichText, Unposted, Wording

from .people import author, person_facts

Handler = Callable[[Payload], Wording | Unposted]


def worded(
    payload: Payload,
    event_type: str,
    title: RichText | str,
    entity: Entity,
    *,
    joiner: str = "",
    body: str = "",
    is_comment: bool = False,
) -> Wording:
    """A wording whose author is the account that caused the event."""
    return Wording(
        event_type=event_type,
        title=title if isinstance(title, RichText) else RichText(title),
        entity=entity,
        author=author(payload),
        joiner=joiner,
        body=body,
        is_comment=is_comment,
        facts=person_facts(payload),
    )


def not_supported(kind: str, action: str = "") -> Unposted:
    return Unposted(f"the GitHub event {kind}{f'.{action}' if action else ''} is not supported")
