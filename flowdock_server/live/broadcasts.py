"""What is published: ids without content, small enough for PostgreSQL's NOTIFY."""

import json
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

# The kinds that only the streaming API uses. Pages are notified of the same by a message.
STREAM_ONLY = {"presence", "join", "leave", "user-edit", "flow-add", "flow-remove"}
# What can be subscribed to: a flow or a person, by id.
Topic = UUID | int


@dataclass(frozen=True)
class Broadcast:
    """A change in a flow or, if `flow_id` is None, for the person `user_id`.

    Kinds for a flow:
    "message"         a new message: `number` and, if it has one, `thread_id`
    "edit"            of the message `number`; streams get the "message" that records it
    "delete"          of the message `number`; streams get nothing
    "thread"          the state of `thread_id` changed without a message
    "source"          a source was connected, changed or removed
    "presence"        `user_id` was active at `at`, in milliseconds
    "join", "leave"   `user_id` can read the flow from now on, or no longer
    "user-edit"       `user_id` has a new name or picture

    Kinds for a person:
    "private"                   a new message `number` in `conversation_id`
    "private-edit"              this message was changed or deleted
    "flow-add", "flow-remove"   the person can read the flow `about` from now on, or no longer
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
            raise ValueError("a broadcast needs a flow_id or a user_id")
        return self.user_id

    def to_json(self) -> str:
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(fields, default=str, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Broadcast":
        """Raises ValueError for anything that `to_json` did not return."""
        try:
            fields: dict[str, Any] = json.loads(text)
            flow_id = fields.pop("flow_id", None)
            broadcast = cls(UUID(flow_id) if flow_id else None, **fields)
            hash((broadcast, broadcast.topic))
        except (AttributeError, RecursionError, TypeError) as error:
            raise ValueError(f"not a broadcast: {text[:100]}") from error
        return broadcast
