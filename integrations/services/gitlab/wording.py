"""How this service creates the wording of an event, and says that it does not support one."""

from __future__ import annotations

from collections.abc import Callable

from integrations.activity import Author
from integrations.services.wording import Entity, RichText, Unposted, Wording

from .payload import GitLabPayload
from .people import author, person_facts

CONFIDENTIAL = "confidential"
INTERNAL = "internal"
NO_ACTION = "the event has no action, like GitLab’s test requests"

Handler = Callable[[GitLabPayload], Wording | Unposted]


def worded(
    payload: GitLabPayload,
    event_type: str,
    title: RichText | str,
    entity: Entity,
    *,
    joiner: str = "",
    body: str = "",
    is_comment: bool = False,
    by: Author | None = None,
) -> Wording:
    """A wording whose author is `by`, or else the account that caused the event if GitLab sends it."""
    return Wording(
        event_type=event_type,
        title=title if isinstance(title, RichText) else RichText(title),
        entity=entity,
        author=by or author(payload),
        joiner=joiner,
        body=body,
        is_comment=is_comment,
        facts={**person_facts(payload), "confidential": confidentiality(payload) or None},
    )


def not_supported(kind: str, action: str) -> Unposted:
    return Unposted(f"the GitLab event {kind}.{action} is not supported" if action else NO_ACTION)


def confidentiality(payload: GitLabPayload) -> tuple[str, ...]:
    """Whether the event is about a confidential work item or an internal note, which not all project members see."""
    things = ("issue", "work_item", "epic", *(("object_attributes",) if payload.kind in {"issue", "work_item"} else ()))
    confidential = any(payload.flag(f"{path}.{CONFIDENTIAL}") for path in things)
    # Older versions call internal notes confidential.
    notes = ("object_attributes", "note") if payload.kind == "note" else ("note",) if payload.kind == "emoji" else ()
    internal = any(payload.flag(f"{path}.{name}") for path in notes for name in (INTERNAL, CONFIDENTIAL))
    marked = payload.maybe_text("event_type").startswith("confidential") or payload.trigger.startswith("Confidential")
    values = [CONFIDENTIAL] if confidential or (marked and not internal) else []
    return (*values, *([INTERNAL] if internal else []))
