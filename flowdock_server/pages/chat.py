"""A flow's chat: the page with its messages, and posting to it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from flowdock_server.models import Flow, FlowMembership, Message, Tag
from flowdock_server.pages import form_keys
from flowdock_server.pages.layout import frame
from flowdock_server.pages.wording import Wording, wording_of
from flowdock_server.posting import search
from flowdock_server.posting.drafts import MAX_CONTENT

from .access import SignedInRequest, flow_page
from .composing import post_form, typed
from .lines import in_context, line_of
from .presence import Person, people_in

EVENTS = (
    Message.Event.MESSAGE,
    Message.Event.COMMENT,
    Message.Event.STATUS,
    Message.Event.FILE,
    Message.Event.ACTION,
)
PAGE = 60  # messages shown at once
FEW = 2000  # messages that a search may find to be looked at all together


@require_GET
@flow_page
def show(request: SignedInRequest, flow: Flow) -> HttpResponse:
    return chat_page(request, flow)


@require_GET
@flow_page
def lines(request: SignedInRequest, flow: Flow) -> HttpResponse:
    """The messages alone, for a page that is open and brings itself up to date."""
    return render(request, "flowdock_server/_chat_parts.html", frame(request, flow) | _said(request, flow))


@require_POST
@flow_page
def say(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """A message, and files, which are messages of their own."""
    content = typed(request)
    if problem := post_form(request, flow, content, event="message"):
        context = {"typed": content, "problem": problem}
        return chat_page(request, flow, context, status=400)
    return redirect(f"{flow.get_absolute_url()}/chat")


@require_POST
@flow_page
def mark_read(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """All that the page has shown: `number` is the latest message that it knew of."""
    _read_up_to(flow, _number(request.POST.get("number", "")))
    return redirect(f"{flow.get_absolute_url()}/chat")


def chat_page(
    request: SignedInRequest, flow: Flow, shown: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    context = frame(request, flow) | _said(request, flow) | (shown or {})
    return render(request, "flowdock_server/chat.html", context, status=status)


def _said(request: SignedInRequest, flow: Flow) -> dict[str, Any]:
    """The messages that the address asks for: the newest, those before or around one, with a tag, with words."""
    tag = request.GET.get("tag", "").replace("\x00", "").strip().lower()[:100]
    words = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    found = flow.messages.filter(event__in=EVENTS)
    if tag:
        found = found.filter(pk__in=Tag.objects.filter(name=tag).values("message"))
    order = "number"
    if words:
        found, order = _matching(found, flow, words, alone=not tag)
    people = people_in(flow)
    shown, has_earlier, is_latest = _part(request, found, order)
    line_at = _number(request.GET["line"]) if "line" in request.GET else flow.membership.last_read_number
    listed = in_context([line_of(message, request.user) for message in shown], line_at)
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
        "wording": wording_for(request, flow, people),
        "form_key": form_keys.form_key(),
        "max_content": MAX_CONTENT,
    }


def _matching(found: QuerySet[Message], flow: Flow, words: str, *, alone: bool) -> tuple[QuerySet[Message], str]:
    """Those of `found` that have the words, and the order to read them in, as `_part` has it."""
    scarce = search.few(flow.pk, words, FEW, alone=alone)
    if scarce is not None:
        return found.filter(pk__in=scarce), "number"
    return search.matching(found, flow.pk, words), "indexed"


def _part(request: SignedInRequest, found: QuerySet[Message], order: str) -> tuple[list[Message], bool, bool]:
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
        return list(loaded(Message.objects.filter(pk__in=keys)).order_by("number"))
    part = list(loaded(found).order_by(order)[:count])
    return part[::-1] if order.startswith("-") else part


def loaded(found: QuerySet[Message]) -> QuerySet[Message]:
    return found.select_related(
        "user", "thread__source", "thread__flow__organization", "parent", "source__application"
    ).prefetch_related("attachments")


def wording_for(request: SignedInRequest, flow: Flow, people: list[Person]) -> Wording:
    return wording_of(flow, request.user, (person.user.nick for person in people))


def message_or_404(flow: Flow, number: int) -> Message:
    return get_object_or_404(loaded(flow.messages.all()), number=number)


def _read_up_to(flow: Flow, number: int) -> None:
    membership, number = flow.membership, min(number, flow.last_number)
    if number > membership.last_read_number:
        FlowMembership.objects.filter(pk=membership.pk, last_read_number__lt=number).update(last_read_number=number)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest("this is not the number of a message")
    return int(text)
