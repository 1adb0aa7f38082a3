"""A flow's team inbox: the list of threads, one thread, and a word to say to it."""

import hashlib
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from flowdock_server.drafts import MAX_CONTENT, Draft, Rejected
from flowdock_server.messages import post
from flowdock_server.models import Flow, Message, Thread

from . import once
from .access import flow_page
from .filters import Filters, inbox, page

TIMELINE = 100  # messages shown at once


@require_GET
@flow_page
def show(request: HttpRequest, flow: Flow) -> HttpResponse:
    return render(request, "flowdock_server/inbox.html", _frame(request, flow) | _list(request, flow))


@require_GET
@flow_page
def show_thread(request: HttpRequest, flow: Flow, thread_id: str) -> HttpResponse:
    opened = _opened(request, flow, thread_id)
    return render(request, "flowdock_server/inbox.html", _frame(request, flow) | _list(request, flow) | opened)


@require_GET
@flow_page
def list_threads(request: HttpRequest, flow: Flow) -> HttpResponse:
    """The list and the filters alone, for a page that is open and brings itself up to date."""
    return render(request, "flowdock_server/_list.html", {"flow": flow} | _list(request, flow))


@require_GET
@flow_page
def thread_pane(request: HttpRequest, flow: Flow, thread_id: str) -> HttpResponse:
    """The thread alone, for a page that opens it in place."""
    context = {"flow": flow, "filters": Filters.read(request.GET)} | _opened(request, flow, thread_id)
    return render(request, "flowdock_server/_thread.html", context)


@require_POST
@flow_page
def comment(request: HttpRequest, flow: Flow, thread_id: str) -> HttpResponseBase:
    """Say something to the team in the thread. Nothing of it goes to the outside service."""
    thread = _thread(flow, thread_id)
    content = request.POST.get("content", "").replace("\x00", "").strip()
    filters = Filters.read(request.GET)
    if len(content) > MAX_CONTENT:
        problem = f"This is too long by {len(content) - MAX_CONTENT} characters. A comment has room for {MAX_CONTENT}."
        context = _frame(request, flow) | _list(request, flow) | _opened(request, flow, thread_id)
        context |= {"comment": content, "comment_problem": problem}
        return render(request, "flowdock_server/inbox.html", context, status=400)
    # The same form with the same words is the same comment: a second press of the button adds none, while words
    # that were changed after going back are another.
    key = f"{request.POST.get(once.FIELD, '')[:64]}:{content}"
    draft = Draft(event="message", content=content, uuid=hashlib.sha256(key.encode()).hexdigest())
    try:
        message = post(draft, flow=flow, user=request.user, thread=thread)
    except Rejected:
        # Nothing but blanks: there is nothing to say about it, and nothing was said.
        return redirect(f"{thread.get_absolute_url()}{filters.query}#composer")
    return redirect(f"{thread.get_absolute_url()}{filters.query}#message-{message.number}")


def _frame(request: HttpRequest, flow: Flow) -> dict[str, Any]:
    """What stands on the left: the person's flows, of which those of other organizations are a menu."""
    flows = list(Flow.objects.open_to(request.user).select_related("organization"))
    organizations = {other.organization: other for other in reversed(flows)}
    return {
        "flow": flow,
        "flows": [other for other in flows if other.organization_id == flow.organization_id],
        "first_flows": [first for first in reversed(organizations.values()) if len(organizations) > 1],
    }


def _list(request: HttpRequest, flow: Flow) -> dict[str, Any]:
    filters = Filters.read(request.GET)
    return {
        "filters": filters,
        "sources": filters.sources(flow),
        "statuses": filters.statuses(flow),
        "total": inbox(flow).count(),
        "page": page(filters.threads(flow), request.GET.get("before", "")),
    }


def _thread(flow: Flow, thread_id: str) -> Thread:
    threads = Thread.objects.select_related("flow__organization", "source__application")
    return get_object_or_404(threads, flow=flow, pk=thread_id)


def _opened(request: HttpRequest, flow: Flow, thread_id: str) -> dict[str, Any]:
    """The thread with its newest messages, or with those before the number that the address names."""
    thread = _thread(flow, thread_id)
    messages = Message.objects.filter(thread=thread).select_related("user", "source__application").order_by("-number")
    before = request.GET.get("earlier_than", "")
    if before:
        if not (before.isascii() and before.isdecimal() and len(before) < 19):
            raise BadRequest("earlier_than is no number")
        messages = messages.filter(number__lt=int(before))
    found = list(messages[: TIMELINE + 1])
    return {
        "thread": thread,
        "messages_shown": found[:TIMELINE][::-1],
        "has_earlier": len(found) > TIMELINE,
        "is_earlier": bool(before),
        "form_key": once.form_key(),
    }
