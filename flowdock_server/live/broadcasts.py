"""What is told, small enough for PostgreSQL's NOTIFY: ids, and never what they stand for."""

import json
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

# What streams alone listen for: a page learns of it by a message.
FOR_STREAMS = {"presence", "join", "leave", "user-edit", "flow-add", "flow-remove"}
# What can be listened to: a flow by its id, and a person by theirs.
Topic = UUID | int


@dataclass(frozen=True)
class Note:
    """Something changed in a flow, or for the person `user_id` where `flow_id` is None.

    `kind` is, of a flow, "message" (there is a new one: number and, for a threaded one, thread_id are set), "edit"
    and "delete" (of the message with that number: what streams tell of it is a "message" of its own), "thread" (its
    state changed without a message), "source" (connected, changed or removed), "presence" (user_id was active at the
    time `at`, in milliseconds), "join", "leave" (user_id is in the flow from now on, or no longer) or "user-edit"
    (user_id has another name or picture); of a person, "private" (there is a new message with that number in
    conversation_id), "private-edit" (that message was changed or deleted), "flow-add" or "flow-remove" (they are in
    the flow `about` from now on, or no longer).
    """

    flow_id: UUID | None
    kind: str
    number: int | None = None
    thread_id: str | None = None
    conversation_id: int | None = None
    user_id: int | None = None
    at: int | None = None
    about: str | None = None

    @property
    def topic(self) -> Topic:
        if self.flow_id is not None:
            return self.flow_id
        if self.user_id is None:
            raise ValueError("a note is about a flow or for a person")
        return self.user_id

    def as_text(self) -> str:
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(told, default=str, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Note":
        """Raises ValueError for anything that `as_text` has not made."""
        try:
            told: dict[str, Any] = json.loads(text)
            flow_id = told.pop("flow_id", None)
            note = cls(UUID(flow_id) if flow_id else None, **told)
            hash((note, note.topic))
        except (AttributeError, RecursionError, TypeError) as error:
            raise ValueError(f"no note: {text[:100]}") from error
        return note
