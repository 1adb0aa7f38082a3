"""A flow's chat: the page with its messages, and posting to it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from flowdock_server.models import Flow, Message
from flowdock_server.models.messages import MessageQuerySet
from flowdock_server.pages import form_keys, parameters
from flowdock_server.pages.layout import sidebar_context
from flowdock_server.pages.wording import Wording, wording_of
from flowdock_server.posting import finding, messages
from flowdock_server.posting.drafts import MAX_CONTENT, Draft
from flowdock_server.posting.finding import Found

from .access import SignedInRequest, flow_page
from .composing import post_form, typed_text
from .lines import annotated, line_of
from .presence import Person, people_in

PAGE = 60  # messages shown at once


@require_GET
@flow_page
def show(request: SignedInRequest, flow: Flow) -> HttpResponse:
    return chat_page(request, flow)


@require_GET
@flow_page
def lines(request: SignedInRequest, flow: Flow) -> HttpResponse:
    """The messages without the rest of the page, for an open page that updates itself."""
    return render(
        request, "flowdock_server/_chat_parts.html", sidebar_context(request, flow) | _list_context(request, flow)
    )


@require_POST
@flow_page
def post_message(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Post a message, and files, each as a message of its own."""
    content = typed_text(request)
    if problem := post_to_flow(request, flow, content):
        context = {"typed": content, "problem": problem}
        return chat_page(request, flow, context, status=400)
    return redirect(f"{flow.get_absolute_url()}/chat")


@require_POST
@flow_page
def mark_read(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Mark everything that the page has shown as read: `number` is the latest message that it knew of."""
    flow.membership.mark_chat_read(parameters.required_number(request.POST, "number"))
    return redirect(f"{flow.get_absolute_url()}/chat")


def chat_page(
    request: SignedInRequest, flow: Flow, shown: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    context = sidebar_context(request, flow) | _list_context(request, flow) | (shown or {})
    return render(request, "flowdock_server/chat.html", context, status=status)


def post_to_flow(request: SignedInRequest, flow: Flow, content: str, thread_id: str = "") -> str:
    """Post what the form holds: its files to the chat, its text to the thread where one is given."""

    def post(**draft: Any) -> None:
        messages.post(Draft(**draft), flow=flow, user=request.user)

    return post_form(
        request,
        content,
        post_text=lambda text, uuid: post(event="message", content=text, thread_id=thread_id, uuid=uuid),
        post_file=lambda upload, uuid: post(event="file", content=upload, uuid=uuid),
    )


def _list_context(request: SignedInRequest, flow: Flow) -> dict[str, Any]:
    """Context for the messages that the query selects: the newest, or those before or around one, by tag, by words."""
    tag = parameters.text(request.GET, "tag").strip().lower()[:100]
    words = parameters.text(request.GET, "q").strip()[:200]
    found = finding.find(flow.messages.in_chat(), flow, words=words, tags=[[tag]] if tag else [])
    people = people_in(flow)
    shown, has_earlier, is_latest = _part(request, found)
    if (line_at := parameters.number(request.GET, "line")) is None:
        line_at = flow.membership.last_read_number
    listed = annotated([line_of(message, request.user) for message in shown], line_at)
    if is_latest and not (tag or words) and "unseen" not in request.GET:
        flow.membership.mark_chat_read(flow.last_number)
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
        "wording": wording_for(request, flow, people),
        "form_key": form_keys.form_key(),
        "max_content": MAX_CONTENT,
    }


def _part(request: SignedInRequest, found: Found) -> tuple[list[Message], bool, bool]:
    """A page of messages in their order, whether there are earlier ones, and whether they go up to the latest."""
    if (before := parameters.number(request.GET, "before")) is not None:
        part = _newest(found, PAGE + 1, number__lt=before)
        return part[-PAGE:], len(part) > PAGE, False
    if (at := parameters.number(request.GET, "at")) is not None:
        later = _oldest(found, PAGE // 2 + 1, number__gt=at)
        earlier = _newest(found, PAGE // 2 + 1, number__lte=at)
        is_latest = len(later) <= PAGE // 2
        return [*earlier[-(PAGE // 2) :], *later[: PAGE // 2]], len(earlier) > PAGE // 2, is_latest
    part = _newest(found, PAGE + 1)
    return part[-PAGE:], len(part) > PAGE, True


def _newest(found: Found, count: int, **where: int) -> list[Message]:
    return _first(found.messages.filter(**where).order_by(f"-{found.order}"), found, count)


def _oldest(found: Found, count: int, **where: int) -> list[Message]:
    return _first(found.messages.filter(**where).order_by(found.order), found, count)


def _first(messages: MessageQuerySet, found: Found, count: int) -> list[Message]:
    """The first `count` of them, sorted by number."""
    if found.order == "indexed":
        # Loaded after the index has been read, so that nothing is joined to what the index only passes over.
        keys = list(messages.values_list("pk", flat=True)[:count])
        return list(Message.objects.filter(pk__in=keys).with_threads().order_by("number"))
    return sorted(messages.with_threads()[:count], key=lambda message: message.number)


def wording_for(request: SignedInRequest, flow: Flow, people: list[Person]) -> Wording:
    return wording_of(flow, request.user, (person.user.nick for person in people))


def message_or_404(flow: Flow, number: int) -> Message:
    return get_object_or_404(flow.messages.with_threads(), number=number)
