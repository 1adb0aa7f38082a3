"""How a happening of GitLab's is told: by whom, and to whom it may be."""

from __future__ import annotations

from integrations.activity import Author
from integrations.services.wording import Entity, Told, Unposted, Words

from .payload import Hook
from .people import author, person_facts

CONFIDENTIAL = "confidential"
INTERNAL = "internal"
NOT_SAID = "GitLab does not say what was done, as when it tests the webhook"


def told(
    hook: Hook,
    word: str,
    did: Words | str,
    entity: Entity,
    *,
    about: str = "",
    body: str = "",
    said: bool = False,
    by: Author | None = None,
) -> Told:
    """A happening whose author is the one who did it, where GitLab tells."""
    secret = secrecy(hook)
    return Told(
        word=word,
        did=did if isinstance(did, Words) else Words(did),
        entity=entity,
        author=by or author(hook),
        about=about,
        body=body,
        said=said,
        facts={**person_facts(hook), "confidential": secret or None},
    )


def not_worded(kind: str, action: str) -> Unposted:
    return Unposted(f"GitLab's {kind} {action} is not a kind we post" if action else NOT_SAID)


def secrecy(hook: Hook) -> tuple[str, ...]:
    """What GitLab shows to fewer people than see the project: confidential work items, internal notes."""
    things = ("issue", "work_item", "epic", *(("object_attributes",) if hook.kind in {"issue", "work_item"} else ()))
    confidential = any(hook.flag(f"{path}.{CONFIDENTIAL}") for path in things)
    # `confidential` is what internal notes were called before.
    notes = ("object_attributes", "note") if hook.kind == "note" else ("note",) if hook.kind == "emoji" else ()
    internal = any(hook.flag(f"{path}.{name}") for path in notes for name in (INTERNAL, CONFIDENTIAL))
    marked = hook.maybe_text("event_type").startswith("confidential") or hook.trigger.startswith("Confidential")
    words = [CONFIDENTIAL] if confidential or (marked and not internal) else []
    return (*words, *([INTERNAL] if internal else []))
