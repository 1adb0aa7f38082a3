"""Messages as the lines of a chat page, with what each needs to know of its neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from flowdock_server.models import Message, User
from flowdock_server.posting import chat_threads

TOGETHER = timedelta(minutes=5)  # consecutive messages of one person within it share a heading


@dataclass
class Line:
    """A message as the page shows it.

    `first` is the number of the first message of its thread in the chat: its own, unless it is a reply. None for a
    message in a thread of the inbox, or in no thread. `continues`: it is shown under the heading of the line before.
    """

    message: Any
    is_own: bool
    mentions_me: bool
    first: int | None = None
    continues: bool = False
    new_day: bool = False
    is_first_new: bool = False

    @property
    def is_reply(self) -> bool:
        return self.first is not None and self.first != self.message.number

    @property
    def replies(self) -> int:
        """The number of replies to the message: 0 for a reply."""
        thread = self.message.thread if self.first == self.message.number else None
        return thread.replies if thread else 0


def line_of(message: Message, user: User) -> Line:
    mine = {f":user:{user.pk}", f":highlight:{user.pk}", ":user:everyone"}
    is_own = message.is_by(user)
    return Line(
        message,
        is_own=is_own,
        mentions_me=not is_own and not mine.isdisjoint(message.tags),
        first=_first(message),
    )


def _first(message: Message) -> int | None:
    if message.event in chat_threads.WITHOUT_THREAD:
        return None
    thread = message.thread
    if thread is None:
        return message.number
    return thread.initial_number if thread.is_chat else None


def annotated(listed: list[Line], line_at: int) -> list[Line]:
    """Mark where a day begins, where a person goes on, and the first new message: the first after number `line_at`."""
    if listed:
        listed[0].new_day = True
    for before, after in pairwise(listed):
        after.new_day = before.message.created_at.date() != after.message.created_at.date()
        same_side = before.is_reply == after.is_reply  # a reply does not continue the message that it replies to
        after.continues = not after.new_day and same_side and _belong_together(before.message, after.message)
    unread = (each for each in listed if each.message.number > line_at and not each.is_own)
    first = next(unread, None) if line_at else None
    if first:
        first.is_first_new, first.continues = True, False
    return listed


def _belong_together(before: Any, after: Any) -> bool:
    spoken = (Message.Event.MESSAGE, Message.Event.COMMENT, Message.Event.FILE)
    same = ("user_id", "speaker", "thread_id", "parent_id")
    return (
        getattr(before, "event", "message") in spoken
        and getattr(after, "event", "message") in spoken
        and all(getattr(before, name, None) == getattr(after, name, None) for name in same)
        and after.created_at - before.created_at < TOGETHER
    )
