from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.utils import timezone

from .people import User


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, user: User) -> ConversationQuerySet:
        """The conversations of `user`."""
        return self.filter(models.Q(first=user) | models.Q(second=user))


class Conversation(models.Model):
    """The private conversation of two people. `first` is the one with the smaller id.

    Get it with `Conversation.between(one, other)`, which creates it if necessary. `last_number` is the number of its
    latest message. Each person has a flag for whether it is open, and the number of the latest message they have read.
    """

    first = models.ForeignKey(User, models.CASCADE, related_name="+", db_index=False)
    second = models.ForeignKey(User, models.CASCADE, related_name="+")
    last_number = models.BigIntegerField(default=0, editable=False)
    first_open = models.BooleanField(default=False)
    second_open = models.BooleanField(default=False)
    first_read_number = models.BigIntegerField(default=0)
    second_read_number = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="one_conversation_of_two"),
            models.CheckConstraint(condition=models.Q(first__lt=models.F("second")), name="two_in_the_order_of_ids"),
        ]

    def __str__(self) -> str:
        return f"{self.first} and {self.second}"

    @classmethod
    def between(cls, one: User, other: User) -> Conversation:
        first, second = sorted((one, other), key=lambda user: user.pk)
        return cls.objects.get_or_create(first=first, second=second)[0]

    def other(self, user: User) -> User:
        """The other person of the two."""
        return self.second if user.pk == self.first_id else self.first

    def is_open_for(self, user: User) -> bool:
        """Whether it is on the list of `user`."""
        return self.first_open if user.pk == self.first_id else self.second_open

    def set_open(self, user: User, is_open: bool) -> None:
        self._set_own(user, "open", is_open)

    def read_number_of(self, user: User) -> int:
        """The number of the latest message that `user` has seen."""
        return self.first_read_number if user.pk == self.first_id else self.second_read_number

    def mark_read(self, user: User) -> None:
        """`user` has seen all of its messages that were there when it was loaded."""
        if self.last_number > self.read_number_of(user):
            self._set_own(user, "read_number", self.last_number)

    def _set_own(self, user: User, name: str, value: int) -> None:
        field = f"{'first' if user.pk == self.first_id else 'second'}_{name}"
        setattr(self, field, value)
        self.save(update_fields=[field])


class PrivateMessageQuerySet(models.QuerySet["PrivateMessage"]):
    def in_chat(self) -> PrivateMessageQuerySet:
        """Messages that the page of the conversation shows: texts and files."""
        return self.filter(event__in=(PrivateMessage.Event.MESSAGE, PrivateMessage.Event.FILE))

    def containing(self, words: Iterable[str]) -> PrivateMessageQuerySet:
        """Messages with all of the words in their text or in the name of their file, also as parts of words."""
        found = self.in_chat()
        for word in words:
            in_text_or_name = models.Q(content__icontains=word) | models.Q(attachments__file_name__icontains=word)
            found = found.filter(in_text_or_name)
        return found

    def with_one_of(self, tags: list[str]) -> PrivateMessageQuerySet:
        """Messages with one of the tags, which are in lower case."""
        return self.filter(pk__in=PrivateTag.objects.filter(name__in=tags).values("message"))

    def with_authors_and_files(self) -> PrivateMessageQuerySet:
        return self.select_related("user").prefetch_related("attachments")


class PrivateMessage(models.Model):
    """A message in a private conversation. `number` is the `id` of the API, unique within the conversation only.

    A "message" has its text in `content`, a "file" has one attachment. "message-edit" and "tag-change" use `data`, as
    in a flow. `flowdock_server.people.private` writes private messages.
    """

    class Event(models.TextChoices):
        MESSAGE = "message"
        FILE = "file"
        TAG_CHANGE = "tag-change"
        MESSAGE_EDIT = "message-edit"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages", db_index=False)
    number = models.BigIntegerField()
    user = models.ForeignKey(User, models.CASCADE, related_name="private_messages")
    event = models.CharField(max_length=20, choices=Event, default=Event.MESSAGE)
    content = models.TextField(blank=True)
    data = models.JSONField(null=True, blank=True)
    tags = models.JSONField(default=list)
    uuid = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  (unique, except None)
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True)

    objects = PrivateMessageQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "number"], name="one_private_message_per_number"),
            models.UniqueConstraint(fields=["user", "uuid"], name="one_private_message_per_uuid"),
        ]

    def __str__(self) -> str:
        return f"private message {self.number}"

    def is_by(self, user: User) -> bool:
        return self.user_id == user.pk

    def may_be_edited_by(self, user: User) -> bool:
        return self.is_by(user) and self.event == self.Event.MESSAGE

    @property
    def sent(self) -> int:
        """Milliseconds since 1970."""
        return round(self.created_at.timestamp() * 1000)

    @property
    def speaker(self) -> str:
        return self.user.name

    @property
    def speaker_avatar(self) -> str:
        return self.user.avatar


class PrivateTag(models.Model):
    """A tag of a private message in lower case, for searching. The message has the original spelling in `tags`."""

    message = models.ForeignKey(PrivateMessage, models.CASCADE, related_name="tag_rows")
    name = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "message"], name="one_tag_per_private_message")]

    def __str__(self) -> str:
        return self.name
