"""How a happening of GitLab's is told: by whom, and to whom it may be."""

from __future__ import annotations

from integrations.activity import Author
from integrations.services.wording import Entity, Unposted, Wording, Words

from .payload import GitLabPayload
from .people import author, person_facts

CONFIDENTIAL = "confidential"
INTERNAL = "internal"
NOT_SAID = "GitLab does not say what was done, as when it tests the webhook"


def worded(
    payload: GitLabPayload,
    event_type: str,
    title: Words | str,
    entity: Entity,
    *,
    joiner: str = "",
    body: str = "",
    is_comment: bool = False,
    by: Author | None = None,
) -> Wording:
    """A happening whose author is the one who did it, where GitLab tells."""
    secret = secrecy(payload)
    return Wording(
        event_type=event_type,
        title=title if isinstance(title, Words) else Words(title),
        entity=entity,
        author=by or author(payload),
        joiner=joiner,
        body=body,
        is_comment=is_comment,
        facts={**person_facts(payload), "confidential": secret or None},
    )


def not_supported(kind: str, action: str) -> Unposted:
    return Unposted(f"GitLab's {kind} {action} is not a kind we post" if action else NOT_SAID)


def secrecy(payload: GitLabPayload) -> tuple[str, ...]:
    """What GitLab shows to fewer people than see the project: confidential work items, internal notes."""
    things = ("issue", "work_item", "epic", *(("object_attributes",) if payload.kind in {"issue", "work_item"} else ()))
    confidential = any(payload.flag(f"{path}.{CONFIDENTIAL}") for path in things)
    # `confidential` is what internal notes were called before.
    notes = ("object_attributes", "note") if payload.kind == "note" else ("note",) if payload.kind == "emoji" else ()
    internal = any(payload.flag(f"{path}.{name}") for path in notes for name in (INTERNAL, CONFIDENTIAL))
    marked = payload.maybe_text("event_type").startswith("confidential") or payload.trigger.startswith("Confidential")
    words = [CONFIDENTIAL] if confidential or (marked and not internal) else []
    return (*words, *([INTERNAL] if internal else []))
