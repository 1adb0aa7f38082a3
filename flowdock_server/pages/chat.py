"""A flow's chat: what people say and do, files, who is there, and the thread that a message is in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from django.contrib import messages as notices
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flowdock_server.models import Attachment, Flow, FlowMembership, Message, Tag, User
from flowdock_server.pages import form_keys
from flowdock_server.pages.layout import frame
from flowdock_server.pages.wording import Wording, wording_of
from flowdock_server.posting import chat_threads, files, messages, search
from flowdock_server.posting.drafts import MAX_CONTENT, Draft, Refused, Rejected

from .access import flow_page

EVENTS = (
    Message.Event.MESSAGE,
    Message.Event.COMMENT,
    Message.Event.STATUS,
    Message.Event.FILE,
    Message.Event.ACTION,
)
PAGE = 60  # messages shown at once
MOST_REPLIES = 500  # the newest of a thread, shown at once
TOGETHER = timedelta(minutes=5)  # what one says within it stands under one name
HERE = timedelta(minutes=5)  # since somebody last did something
MAX_FILES = 10  # in one form
FEW = 2000  # messages that a search may find to be looked at all together


@dataclass
class Line:
    """A message with what the page has to know of it and its neighbors.

    `first` is the number of the message that its conversation in the chat began with: itself, unless it is a reply.
    None where it is in a thread of the inbox, or in none.
    """

    message: Any
    is_own: bool
    names_me: bool
    first: int | None = None
    continues: bool = False
    new_day: bool = False
    is_first_new: bool = False

    @property
    def is_reply(self) -> bool:
        return self.first is not None and self.first != self.message.number

    @property
    def replies(self) -> int:
        """How many there are to the message: 0 for one that is a reply itself."""
        thread = self.message.thread if self.first == self.message.number else None
        return thread.replies if thread else 0


@dataclass(frozen=True)
class Person:
    """Somebody in the flow: `is_here` is whether they did something a moment ago."""

    user: User
    is_here: bool


@require_GET
@flow_page
def show(request: HttpRequest, flow: Flow) -> HttpResponse:
    return _page(request, flow)


@require_GET
@flow_page
def lines(request: HttpRequest, flow: Flow) -> HttpResponse:
    """The messages alone, for a page that is open and brings itself up to date."""
    return render(request, "flowdock_server/_chat_parts.html", frame(request, flow) | _said(request, flow))


@require_GET
@flow_page
def show_message(request: HttpRequest, flow: Flow, number: int) -> HttpResponseBase:
    """A message and the replies to it. A reply is shown under the first message, the inbox's in the inbox."""
    root = _message(flow, number)
    thread = root.thread
    if thread and not thread.is_chat:
        return redirect(f"{thread.get_absolute_url()}#message-{root.number}")
    if thread and (first := thread.messages.values_list("number", flat=True).first()) != root.number:
        return redirect(f"{flow.get_absolute_url()}/chat/{first}#message-{root.number}")
    return _page(request, flow, _replies(request, flow, root))


@require_GET
@flow_page
def replies(request: HttpRequest, flow: Flow, number: int) -> HttpResponse:
    """The same without the rest of the page."""
    context = {"flow": flow, "wording": _wording(request, flow, _people(flow))}
    return render(
        request, "flowdock_server/_chat_thread.html", context | _replies(request, flow, _message(flow, number))
    )


@require_GET
@flow_page
def line(request: HttpRequest, flow: Flow, number: int) -> HttpResponse:
    """One message alone: one that was changed, and that the page shows among older ones."""
    found = get_object_or_404(_loaded(flow.messages.filter(event__in=EVENTS)), number=number)
    context = {"flow": flow, "wording": _wording(request, flow, _people(flow)), "line": _line(found, request.user)}
    return render(request, "flowdock_server/_line.html", context)


@require_POST
@flow_page
def say(request: HttpRequest, flow: Flow) -> HttpResponseBase:
    """A message, and files, which are messages of their own."""
    content = _typed(request)
    if problem := _say(request, flow, content, event="message"):
        context = {"typed": content, "problem": problem}
        return _page(request, flow, context, status=400)
    return redirect(f"{flow.get_absolute_url()}/chat")


@require_POST
@flow_page
def reply(request: HttpRequest, flow: Flow, number: int) -> HttpResponseBase:
    """Say something in the thread of a message."""
    root = _message(flow, number)
    content = _typed(request)
    thread_id = root.thread_id or chat_threads.thread_id(flow.pk, root.number)
    if problem := _say(request, flow, content, event="message", thread_id=thread_id):
        context = _replies(request, flow, root) | {"typed_comment": content, "comment_problem": problem}
        return _page(request, flow, context, status=400)
    return redirect(f"{flow.get_absolute_url()}/chat/{root.number}#comment")


@require_http_methods(["GET", "POST"])
@flow_page
def edit(request: HttpRequest, flow: Flow, number: int) -> HttpResponseBase:
    """Say something of one's own anew."""
    message = _own(request, flow, number)
    problem, content, status = "", message.content, 200
    if request.method == "POST":
        content = _typed(request)
        try:
            messages.edit(message, request.user, content=content)
        except (Rejected, Refused) as error:
            problem, status = in_words(error), 400
        else:
            return redirect(f"{flow.get_absolute_url()}/chat?at={number}#message-{number}")
    context = {"flow": flow, "message": message, "typed": content, "problem": problem, "max_content": MAX_CONTENT}
    return render(request, "flowdock_server/edit_message.html", context, status=status)


@require_http_methods(["GET", "POST"])
@flow_page
def delete(request: HttpRequest, flow: Flow, number: int) -> HttpResponseBase:
    """One's own in the chat, and what anybody may delete in the inbox. GET asks whether it is meant."""
    found = _loaded(flow.messages.all()).filter(number=number).first()
    if request.method == "GET":
        return _ask_to_delete(request, flow, found)
    if found is None:  # as after a second press of the button
        return redirect(f"{flow.get_absolute_url()}/chat")
    thread = found.thread
    try:
        messages.delete(found, request.user)
    except Refused as error:
        notices.error(request, in_words(error))
    if not found.by_integration and not (thread and thread.source_id):
        return redirect(f"{flow.get_absolute_url()}/chat")
    return redirect(thread.get_absolute_url() if thread and thread.messages.exists() else flow)


def _ask_to_delete(request: HttpRequest, flow: Flow, message: Message | None) -> HttpResponse:
    is_own_file = message and message.event == Message.Event.FILE and _line(message, request.user).is_own
    if message is None or not (message.by_integration or is_own_file):
        raise Http404
    thread = message.thread
    context = {
        "flow": flow,
        "thread": thread,
        "message": message,
        "wording": wording_of(flow, request.user),
        "is_last": bool(thread and thread.source_id and not thread.messages.exclude(pk=message.pk).exists()),
        "way_back": f"{thread.get_absolute_url()}#message-{message.number}" if thread else flow.get_absolute_url(),
    }
    return render(request, "flowdock_server/delete_message.html", context)


@require_POST
@flow_page
def mark_read(request: HttpRequest, flow: Flow) -> HttpResponseBase:
    """All that the page has shown: `number` is the latest message that it knew of."""
    _read_up_to(flow, _number(request.POST.get("number", "")))
    return redirect(f"{flow.get_absolute_url()}/chat")


@require_POST
@flow_page
def set_status(request: HttpRequest, flow: Flow) -> HttpResponseBase:
    """What one is up to, told in the flow and shown beside one's name everywhere. Nothing: no status any more."""
    status = " ".join(request.POST.get("status", "").replace("\x00", "").split())[:200]
    if not status:
        User.objects.filter(pk=request.user.pk).update(status="")
    elif status != request.user.status:
        try:
            messages.post(Draft(event="status", content=status), flow=flow, user=request.user)
        except (Rejected, Refused) as error:
            notices.error(request, in_words(error))
    return redirect(f"{flow.get_absolute_url()}/chat")


@require_GET
@flow_page
def open_file(request: HttpRequest, flow: Flow, key: str, thumbnail: bool = False) -> HttpResponseBase:
    """The bytes, at an address that ends soon."""
    attachment = get_object_or_404(Attachment, flow=flow, key=key, message__isnull=False)
    return redirect(files.address_of(attachment, thumbnail=thumbnail and attachment.has_thumbnail))


def in_words(error: Rejected | Refused) -> str:
    """Flowdock's reasons as a sentence: "can't be blank" is said of nothing that a page names."""
    if isinstance(error, Rejected):
        reasons = [reason for reasons in error.errors.values() for reason in reasons]
        return f"This {', and '.join(reasons)}." if reasons else "This message cannot be posted."
    return f"{error}."


def _page(request: HttpRequest, flow: Flow, shown: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    context = frame(request, flow) | _said(request, flow) | (shown or {})
    return render(request, "flowdock_server/chat.html", context, status=status)


def _said(request: HttpRequest, flow: Flow) -> dict[str, Any]:
    """The messages that the address asks for: the newest, those before or around one, with a tag, with words."""
    tag = request.GET.get("tag", "").replace("\x00", "").strip().lower()[:100]
    words = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    found = flow.messages.filter(event__in=EVENTS)
    if tag:
        found = found.filter(pk__in=Tag.objects.filter(name=tag).values("message"))
    order = "number"
    if words:
        found, order = _matching(found, flow, words, alone=not tag)
    people = _people(flow)
    shown, has_earlier, is_latest = _part(request, found, order)
    line_at = _number(request.GET["line"]) if "line" in request.GET else flow.membership.last_read_number
    listed = in_context([_line(message, request.user) for message in shown], line_at)
    if is_latest and not (tag or words) and "unseen" not in request.GET:
        _read_up_to(flow, flow.last_number)
    return {
        "chat": True,
        "chat_address": f"{flow.get_absolute_url()}/chat",
        "last_number": flow.last_number,
        "lines": listed,
        "has_earlier": has_earlier,
        "is_latest": is_latest,
        "line_at": line_at,
        "tag": tag,
        "words": words,
        "people": people,
        "wording": _wording(request, flow, people),
        "form_key": form_keys.form_key(),
        "max_content": MAX_CONTENT,
    }


def _matching(found: QuerySet[Message], flow: Flow, words: str, *, alone: bool) -> tuple[QuerySet[Message], str]:
    """Those of `found` that have the words, and the order to read them in, as `_part` has it."""
    scarce = search.few(flow.pk, words, FEW, alone=alone)
    if scarce is not None:
        return found.filter(pk__in=scarce), "number"
    return search.matching(found, flow.pk, words), "indexed"


def _part(request: HttpRequest, found: QuerySet[Message], order: str) -> tuple[list[Message], bool, bool]:
    """A page of messages in their order, whether there are earlier ones, and whether they go up to the latest.

    `order` is the index that `found` is read by: "number", or "indexed", which is the same order.
    """
    if "before" in request.GET:
        part = _taken(found.filter(number__lt=_number(request.GET["before"])), f"-{order}", PAGE + 1)
        return part[-PAGE:], len(part) > PAGE, False
    if "at" in request.GET:
        at = _number(request.GET["at"])
        later = _taken(found.filter(number__gt=at), order, PAGE // 2 + 1)
        earlier = _taken(found.filter(number__lte=at), f"-{order}", PAGE // 2 + 1)
        is_latest = len(later) <= PAGE // 2
        return [*earlier[-(PAGE // 2) :], *later[: PAGE // 2]], len(earlier) > PAGE // 2, is_latest
    part = _taken(found, f"-{order}", PAGE + 1)
    return part[-PAGE:], len(part) > PAGE, True


def _taken(found: QuerySet[Message], order: str, count: int) -> list[Message]:
    """The first `count` in `order`, oldest first. What a search found is loaded after the index has said what it is."""
    if order.endswith("indexed"):
        keys = list(found.order_by(order).values_list("pk", flat=True)[:count])
        return list(_loaded(Message.objects.filter(pk__in=keys)).order_by("number"))
    part = list(_loaded(found).order_by(order)[:count])
    return part[::-1] if order.startswith("-") else part


def _loaded(found: QuerySet[Message]) -> QuerySet[Message]:
    return found.select_related(
        "user", "thread__source", "thread__flow__organization", "parent", "source__application"
    ).prefetch_related("attachments")


def _replies(request: HttpRequest, flow: Flow, root: Message) -> dict[str, Any]:
    said = (
        Message.objects.filter(thread=root.thread_id).exclude(pk=root.pk) if root.thread_id else Message.objects.none()
    )
    newest = list(_loaded(said).order_by("-number")[:MOST_REPLIES])[::-1]
    return {
        "root": _line(root, request.user),
        "replies": in_context([_line(message, request.user) for message in newest], 0),
        "form_key": form_keys.form_key(),
    }


def _line(message: Message, user: User) -> Line:
    mine = {f":user:{user.pk}", f":highlight:{user.pk}", ":user:everyone"}
    is_own = message.user_id == user.pk and message.source_id is None
    return Line(
        message,
        is_own=is_own,
        names_me=not is_own and not mine.isdisjoint(message.tags),
        first=_first(message),
    )


def _first(message: Message) -> int | None:
    if message.event in chat_threads.BOOKKEEPING:
        return None
    thread = message.thread
    if thread is None:
        return message.number
    return thread.initial_number if thread.is_chat else None


def in_context(listed: list[Line], line_at: int) -> list[Line]:
    """Told apart by day, by speaker, and by what was said since the person was here."""
    if listed:
        listed[0].new_day = True
    for before, after in pairwise(listed):
        after.new_day = before.message.created_at.date() != after.message.created_at.date()
        same_side = before.is_reply == after.is_reply  # a reply does not go on from the message it is to
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


def _people(flow: Flow) -> list[Person]:
    memberships = FlowMembership.objects.filter(flow=flow, disabled=False, user__is_active=True)
    return [Person(each.user, is_here(each.user)) for each in memberships.select_related("user").order_by("user__name")]


def is_here(user: User) -> bool:
    return user.last_activity_at is not None and timezone.now() - user.last_activity_at < HERE


def _wording(request: HttpRequest, flow: Flow, people: list[Person]) -> Wording:
    return wording_of(flow, request.user, (person.user.nick for person in people))


def _message(flow: Flow, number: int) -> Message:
    return get_object_or_404(_loaded(flow.messages.all()), number=number)


def _own(request: HttpRequest, flow: Flow, number: int) -> Message:
    """A message that its author may change; to everybody else there is nothing to edit."""
    message = _message(flow, number)
    can_be_edited = (Message.Event.MESSAGE, Message.Event.COMMENT)
    if message.user_id != request.user.pk or message.source_id or message.event not in can_be_edited:
        raise Http404
    return message


def _typed(request: HttpRequest) -> str:
    return request.POST.get("content", "").replace("\x00", "").strip("\r\n\t ")


def _say(request: HttpRequest, flow: Flow, content: str, **draft: Any) -> str:
    """Post what the form holds; what was wrong with it, or nothing.

    The same form with the same words is the same message: a second press of the button adds none.
    """
    if len(content) > MAX_CONTENT:
        return f"This message is {len(content) - MAX_CONTENT} characters too long. The limit is {MAX_CONTENT}."
    uploads = request.FILES.getlist("files")
    if len(uploads) > MAX_FILES:
        return f"You selected {len(uploads)} files. Send at most {MAX_FILES} at form_keys."
    key = request.POST.get(form_keys.FIELD, "")[:64]
    try:
        for place, upload in enumerate(uploads):
            sent = Draft(event="file", content=upload, uuid=_uuid(key, f"file {place} {upload.name} {upload.size}"))
            messages.post(sent, flow=flow, user=request.user)
        if content:
            said = Draft(content=content, uuid=_uuid(key, content), **draft)
            messages.post(said, flow=flow, user=request.user)
    except (Rejected, Refused) as error:
        return in_words(error)
    return ""


def _uuid(key: str, content: str) -> str:
    return hashlib.sha256(f"{key}:{content}".encode()).hexdigest()


def _read_up_to(flow: Flow, number: int) -> None:
    membership, number = flow.membership, min(number, flow.last_number)
    if number > membership.last_read_number:
        FlowMembership.objects.filter(pk=membership.pk, last_read_number__lt=number).update(last_read_number=number)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest("this is not the number of a message")
    return int(text)
