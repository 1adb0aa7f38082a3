from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.files.storage import storages
from django.db import models, transaction
from django.db.models.functions import Coalesce, Greatest
from django.dispatch import receiver
from django.utils import timezone
from django.utils.safestring import SafeString

from flowdock_server.parsing.html import clean_body, clean_line, without_tags
from flowdock_server.parsing.numbers import whole_number
from flowdock_server.secrets.tokens import new_file_key, new_thread_id

from .applications import Application, Source
from .flows import Flow, FlowMembership
from .people import User

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
# The fields of a thread with nothing from an external service.
_CONVERSATION: dict[str, Any] = {"source": None, "activities": 0, "external_comments": 0}


class ThreadQuerySet(models.QuerySet["Thread"]):
    def not_empty(self) -> ThreadQuerySet:
        """Threads with messages. A thread stays when all its messages are deleted, but lists leave it out."""
        return self.filter(empty=False)

    def from_outside(self) -> ThreadQuerySet:
        """Threads of a source, and threads with an activity or a discussion."""
        return self.exclude(**_CONVERSATION)

    def of_chat(self) -> ThreadQuerySet:
        """Conversations between people: all other threads."""
        return self.filter(**_CONVERSATION)

    def of_application(self, client_id: str) -> ThreadQuerySet:
        """Threads of an OAuth application's sources. It is found by its client id, or by its id."""
        which = models.Q(client_id=client_id)
        if (key := whole_number(client_id)) is not None:
            which |= models.Q(pk=key)
        # By sources, of which an application has few in a flow.
        return self.filter(source__in=Source.objects.filter(application__in=Application.objects.filter(which)))

    def in_inbox(self) -> ThreadQuerySet:
        """Threads that the team inbox shows."""
        return self.not_empty().from_outside()

    def newest_first(self) -> ThreadQuerySet:
        """Most recently updated first. For the next page, use `before`."""
        # The condition is always true. With it, SQLite reads the index in this order instead of sorting all threads.
        return self.filter(updated_at__lt=_NEVER).order_by("-updated_at", "-id")

    def before(self, updated_at: datetime, thread_id: str) -> ThreadQuerySet:
        """Threads after the one with this `updated_at` and id in the order of `newest_first`.

        New threads do not shift these pages.
        """
        later = models.Q(updated_at__lt=updated_at) | models.Q(updated_at=updated_at, id__lt=thread_id)
        # The second condition implies the first, but only the first can use the index.
        return self.filter(updated_at__lte=updated_at).filter(later)

    def with_source(self) -> ThreadQuerySet:
        """Threads with what their pages and buttons need of the flow and the source."""
        return self.select_related("flow__organization", "source__application")

    def with_marks_of(self, membership: FlowMembership) -> ThreadQuerySet:
        """Threads with `is_done` and `is_unread` for one member. A thread counts as done until new activity."""
        return self.alias(
            mark=models.FilteredRelation("marks", condition=models.Q(marks__user=membership.user_id)),
            read_to=Coalesce(models.F("mark__read_number"), models.Value(0)),
        ).annotate(
            is_done=_whether(mark__done_at__gte=models.F("updated_at")),
            is_unread=_whether(
                last_number__gt=Greatest(models.F("read_to"), models.Value(membership.inbox_read_number))
            ),
        )


def _whether(**condition: Any) -> models.Case:
    return models.Case(models.When(**condition, then=models.Value(True)), default=models.Value(False))


class Thread(models.Model):
    """An item of an external service (pull request 42), or a conversation in the chat (then `source` is None).

    `external_thread_id` is the source's own key for it, unique within the source. Title, body, address, status,
    `fields` ([{"label", "value"}]) and `actions` (schema.org actions) are the state that the latest activity set. The
    counters and the latest message (`last_author`, `last_title`, `last_event`, `updated_at`) are stored here so that a
    list needs no other table. `flowdock_server.posting` updates them when messages are posted, edited or deleted, and
    `flowdock_server.transfer` when they are imported.
    """

    class Color(models.TextChoices):
        RED = "red"
        GREEN = "green"
        YELLOW = "yellow"
        CYAN = "cyan"
        ORANGE = "orange"
        GREY = "grey"
        BLACK = "black"
        LIME = "lime"
        PURPLE = "purple"
        BLUE = "blue"

    id = models.CharField(primary_key=True, max_length=27, default=new_thread_id, editable=False)
    # db_index=False here and below: an index in Meta begins with the same column.
    flow = models.ForeignKey(Flow, models.CASCADE, related_name="threads", db_index=False)
    source = models.ForeignKey(Source, models.RESTRICT, null=True, related_name="threads", db_index=False)
    # None and not "" if there is none, so that the unique constraints need no condition. SQLite would not use an index
    # with the condition `<> ''`, since a parameter might be empty.
    external_thread_id = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    title = models.TextField(blank=True)
    body = models.TextField(blank=True)
    external_url = models.TextField(blank=True)
    status_value = models.CharField(max_length=255, blank=True)
    status_color = models.CharField(max_length=6, blank=True, choices=Color)
    fields = models.JSONField(default=list)
    actions = models.JSONField(default=list)
    initial_number = models.BigIntegerField(default=0, help_text="Number of the first message")
    last_number = models.BigIntegerField(default=0, help_text="Number of the latest message")
    activities = models.PositiveIntegerField(default=0)
    internal_comments = models.PositiveIntegerField(default=0, help_text="Number of chat messages")
    external_comments = models.PositiveIntegerField(default=0, help_text="Number of discussions")
    empty = models.BooleanField(default=False)
    last_event = models.CharField(max_length=20, blank=True)
    last_author = models.CharField(max_length=255, blank=True)
    last_title = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ThreadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "external_thread_id"], name="one_thread_per_key_of_a_source"),
            models.UniqueConstraint(
                fields=["flow", "external_thread_id"],
                condition=models.Q(source=None),
                name="one_thread_per_key_of_people",
            ),
        ]
        indexes = [
            models.Index(fields=["flow", "-updated_at", "-id"], name="threads_newest_first"),
            models.Index(fields=["source", "-updated_at", "-id"], name="threads_of_a_source"),
            models.Index(fields=["flow", "last_number"], name="threads_by_last_number"),
            # Has all columns that the inbox counts by, so that it does not read the threads, whose bodies are long.
            models.Index(
                fields=[
                    *("flow", "empty", "source", "status_value", "status_color"),
                    *("activities", "external_comments", "last_number", "updated_at", "id"),
                ],
                name="threads_counted",
            ),
        ]

    def __str__(self) -> str:
        return self.plain_title

    def get_absolute_url(self) -> str:
        """The path of its page. Select `flow__organization` in lists."""
        return f"{self.flow.get_absolute_url()}/threads/{self.pk}"

    @property
    def url(self) -> str:
        return f"{self.flow.url}/threads/{self.pk}"

    def mark_read(self, user: User, number: int | None = None) -> None:
        """`user` has seen its messages up to `number`: without it, up to the latest."""
        self._mark(user.pk, read_number=self.last_number if number is None else number)

    def mark_unread(self, membership: FlowMembership) -> None:
        """The member has not seen its latest message, nor the inbox from there on."""
        seen = self.last_number - 1
        self._mark(membership.user_id, read_number=seen)
        rows = FlowMembership.objects.filter(pk=membership.pk, inbox_read_number__gt=seen)
        rows.update(inbox_read_number=seen)

    def mark_done(self, user: User) -> None:
        """It leaves the list of `user` until something happens in it."""
        self._mark(user.pk, done_at=timezone.now(), read_number=self._latest_number())

    def mark_not_done(self, user: User) -> None:
        self._mark(user.pk, done_at=None, read_number=self._latest_number())

    def _latest_number(self) -> int:
        """As stored now: the page that somebody looks at may be older."""
        return self.messages.aggregate(latest=models.Max("number"))["latest"] or 0

    def _mark(self, user_id: int, **changes: Any) -> None:
        ThreadMark.objects.update_or_create(user_id=user_id, thread=self, defaults=changes)

    @property
    def safe_title(self) -> SafeString:
        """Safe HTML, with links."""
        return clean_line(self.title)

    @property
    def plain_title(self) -> str:
        """Plain text, for links, attributes and page titles."""
        return without_tags(self.title)

    @property
    def safe_body(self) -> SafeString:
        """Safe HTML, with images from its messages' attachments, which need a query if there are any."""
        if "cid:" not in self.body:
            return clean_body(self.body)
        named = Attachment.objects.filter(message__thread=self).exclude(content_id="").order_by("pk")
        return clean_body(self.body, {attachment.content_id: attachment.path for attachment in named})

    @property
    def safe_fields(self) -> list[dict[str, Any]]:
        """[{"label": text, "value": safe HTML}]"""
        return [{"label": field["label"], "value": clean_line(field["value"])} for field in self.fields]

    @property
    def plain_last_title(self) -> str:
        """What happened last ("merged the pull request"), as plain text."""
        return without_tags(self.last_title)

    @property
    def is_chat(self) -> bool:
        """Whether it is a conversation that started in the chat and is shown there."""
        from_outside = self.source_id is not None or self.activities or self.external_comments
        return not (from_outside or self.external_thread_id)

    @property
    def replies(self) -> int:
        """The number of messages after the first one in a chat conversation."""
        return max(self.internal_comments - 1, 0)

    @property
    def comments(self) -> int:
        return self.internal_comments + self.external_comments


class MessageQuerySet(models.QuerySet["Message"]):
    def from_people(self) -> MessageQuerySet:
        """Messages, comments and files."""
        return self.filter(event__in=(Message.Event.MESSAGE, Message.Event.COMMENT, Message.Event.FILE))

    def in_chat(self) -> MessageQuerySet:
        """Messages that the chat shows."""
        return self.filter(event__in=CHAT_EVENTS)

    def with_authors_and_files(self) -> MessageQuerySet:
        """Messages with what pages show of them: the same number of queries for many as for one."""
        return self.select_related("user", "source__application").prefetch_related("attachments")

    def with_threads(self) -> MessageQuerySet:
        """Messages with their threads too, and what they are comments on."""
        return self.with_authors_and_files().select_related("thread__source", "thread__flow__organization", "parent")


class Message(models.Model):
    """A message or an event in a flow.

    `number` is the `id` of the API. It increases in the order of posting and is unique within the flow only.
    `event` decides which fields are used:

    "activity", "discussion"        `title`, `body`, `author_name`, `author_email`, `author_avatar`
    "message", "comment", "status"  `content`, as plain text, and `user` or `external_user_name`
    "mail" (from the Push API)      `title`, `body`, author, and `data`: {"source", "project", "reply_to", "link"}
    "file"                          one attachment
    "action"                        `data`: {"type", "description"}
    "tag-change"                    `data`: {"message", "add", "remove"}
    "message-edit"                  `data`: {"message", "updated_content"}

    `thread` is None for the last three, and for a message that nobody has replied to, whose thread is made by
    `flowdock_server.posting.chat_threads`. `parent` is the message that a comment is about. A message with
    `attachments` always has the tag ":file".
    """

    class Event(models.TextChoices):
        MESSAGE = "message"
        COMMENT = "comment"
        STATUS = "status"
        FILE = "file"
        ACTION = "action"
        TAG_CHANGE = "tag-change"
        MESSAGE_EDIT = "message-edit"
        ACTIVITY = "activity"
        DISCUSSION = "discussion"
        MAIL = "mail"

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="messages", db_index=False)
    number = models.BigIntegerField()
    thread = models.ForeignKey(Thread, models.CASCADE, null=True, related_name="messages", db_index=False)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="comments")
    source = models.ForeignKey(Source, models.RESTRICT, null=True, related_name="messages")
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="messages")
    event = models.CharField(max_length=20, choices=Event)
    title = models.TextField(blank=True)
    body = models.TextField(blank=True)
    content = models.TextField(blank=True)
    data = models.JSONField(null=True, blank=True)
    author_name = models.CharField(max_length=255, blank=True)
    author_email = models.CharField(max_length=255, blank=True)
    author_avatar = models.CharField(max_length=2000, blank=True)
    external_user_name = models.CharField(max_length=255, blank=True)
    tags = models.JSONField(default=list)
    uuid = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  (as external_thread_id)
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "number"], name="one_message_per_number"),
            models.UniqueConstraint(fields=["source", "uuid"], name="one_message_per_uuid_of_a_source"),
            models.UniqueConstraint(
                fields=["flow", "user", "uuid"],
                condition=models.Q(source=None),
                name="one_message_per_uuid_of_a_user",
            ),
        ]
        indexes = [
            models.Index(fields=["thread", "number"], name="messages_of_a_thread"),
            models.Index(fields=["flow", "event", "number"], name="messages_by_event"),
            models.Index(
                fields=["flow", "-created_at", "-number"], condition=models.Q(thread=None), name="messages_unanswered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.number}"

    @property
    def sent(self) -> int:
        """Milliseconds since 1970."""
        return round(self.created_at.timestamp() * 1000)

    @property
    def url(self) -> str:
        return f"{self.flow.url}/messages/{self.number}"

    @property
    def belongs_in_inbox(self) -> bool:
        return self.event in INBOX_EVENTS

    def is_by(self, user: User) -> bool:
        """Whether `user` wrote it, rather than a source that they connected."""
        return self.user_id == user.pk and self.source_id is None

    def may_be_edited_by(self, user: User) -> bool:
        """Only the author can edit a chat message. Deleting it is an edit too, which empties it."""
        return self.is_by(user) and self.event in (self.Event.MESSAGE, self.Event.COMMENT)

    def may_be_removed_by(self, user: User) -> bool:
        """Members can remove any message from the inbox, and their own files from the chat."""
        return self.belongs_in_inbox or (self.event == self.Event.FILE and self.is_by(user))

    @property
    def speaker(self) -> str:
        """The name that is shown above it."""
        return self.author_name or self.external_user_name or (self.user.name if self.user else "Somebody who left")

    @property
    def speaker_avatar(self) -> str:
        """URL of the author's picture; empty if initials are shown instead, as without REMOTE_IMAGES."""
        avatar = self.author_avatar or (self.user.avatar if self.user and not self.external_user_name else "")
        return avatar if settings.REMOTE_IMAGES and avatar.startswith("https://") else ""

    @property
    def safe_title(self) -> SafeString:
        return clean_line(self.title)

    @property
    def safe_body(self) -> SafeString:
        """Safe HTML, with images from its attachments. Prefetch `attachments` in lists."""
        if ":file" not in self.tags:
            return clean_body(self.body)
        return clean_body(self.body, {attachment.content_id: attachment.path for attachment in self.attachments.all()})


# The events that the chat shows.
CHAT_EVENTS = (
    *(Message.Event.MESSAGE, Message.Event.COMMENT, Message.Event.STATUS, Message.Event.FILE, Message.Event.ACTION),
)
# The events that belong in the team inbox. All others belong in the chat.
INBOX_EVENTS = (Message.Event.ACTIVITY, Message.Event.DISCUSSION, Message.Event.MAIL)


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def open_to(self, user: User) -> AttachmentQuerySet:
        """Files of posted messages: in flows that are open to `user`, and in their private conversations."""
        in_flow = models.Q(message__isnull=False, flow__in=Flow.objects.open_to(user).values("pk"))
        private = models.Q(private_message__conversation__first=user) | models.Q(
            private_message__conversation__second=user
        )
        return self.filter(in_flow | private)


class Attachment(models.Model):
    """A file of a message. Its content is `key` in the storage "attachments", and its thumbnail is `thumbnail_key`.

    `message` is None until it is posted. A file of a private message has `private_message` instead of `flow` and
    `message`. `content_id` is the name that the body of an activity refers to as cid:NAME. Only images have `width`
    and `height`, in pixels. `flowdock_server.posting.files` creates and removes attachments.
    """

    flow = models.ForeignKey(Flow, models.CASCADE, null=True, related_name="attachments")
    message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="attachments")
    private_message = models.ForeignKey("PrivateMessage", models.CASCADE, null=True, related_name="attachments")
    uploaded_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="attachments")
    content_id = models.CharField(max_length=255, blank=True)
    file_name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=255)
    size = models.BigIntegerField(help_text="Bytes")
    key = models.CharField(max_length=64, unique=True, default=new_file_key, editable=False)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    thumbnail_width = models.PositiveIntegerField(null=True, blank=True)
    thumbnail_height = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(flow__isnull=False, private_message=None)
                | models.Q(flow=None, message=None, private_message__isnull=False),
                name="attachment_of_a_flow_or_in_private",
            ),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def path(self) -> str:
        """Its path in the API, which only members of the flow, or the two people of a conversation, can open."""
        return f"/files/{self.key}/{quote(self.file_name, safe='')}"

    @property
    def has_thumbnail(self) -> bool:
        return self.thumbnail_width is not None

    @property
    def thumbnail_key(self) -> str:
        return f"{self.key}.thumbnail"

    @property
    def thumbnail_path(self) -> str:
        return f"/files/{self.key}/thumb/{quote(self.file_name, safe='')}"


@receiver(models.signals.post_delete, sender=Attachment)
def _delete_bytes(instance: Attachment, **kwargs: Any) -> None:
    # A signal, since attachments are mostly deleted by a cascade from their message or flow.
    keys = [instance.key, *([instance.thumbnail_key] if instance.has_thumbnail else [])]

    def delete() -> None:
        for key in keys:
            storages["attachments"].delete(key)

    transaction.on_commit(delete)


class ThreadMark(models.Model):
    """What one person has done with a thread of the inbox.

    `done_at` is when they marked it as done; a later activity makes it not done again. `read_number` is the number of
    its latest message that they have seen.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="thread_marks")
    thread = models.ForeignKey(Thread, models.CASCADE, related_name="marks")
    done_at = models.DateTimeField(null=True, blank=True)
    read_number = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "thread"], name="one_mark_per_user_and_thread")]

    def __str__(self) -> str:
        return f"{self.user} in {self.thread_id}"


class Tag(models.Model):
    """A tag of a message in lower case, for searching. The message has the original spelling in `tags`."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="tag_rows")
    name = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "message"], name="one_tag_per_message")]

    def __str__(self) -> str:
        return self.name
