"""A flow's team inbox: the list of threads, one thread, comments, and marking threads as read and done."""

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from flowdock_server.models import Flow, Message, Thread
from flowdock_server.models.messages import ThreadQuerySet
from flowdock_server.pages import form_keys, parameters
from flowdock_server.pages.layout import sidebar_context
from flowdock_server.pages.wording import wording_of
from flowdock_server.posting import chat_threads
from flowdock_server.posting.drafts import Draft, Rejected
from flowdock_server.posting.messages import post

from .access import SignedInRequest, flow_page
from .composing import too_long
from .filters import Filters, page

TIMELINE = 100  # messages shown at once


@require_GET
@flow_page
def show(request: SignedInRequest, flow: Flow) -> HttpResponse:
    return _page(request, flow)


@require_GET
@flow_page
def show_thread(request: SignedInRequest, flow: Flow, thread_id: str) -> HttpResponseBase:
    """Show the thread; one that began in the chat redirects there."""
    thread = _thread(flow, thread_id)
    # The first message of an imported thread may be missing.
    if thread.is_chat and flow.messages.filter(number=thread.initial_number).exists():
        return redirect(f"{flow.get_absolute_url()}/chat/{thread.initial_number}")
    return _page(request, flow, _opened(request, flow, thread))


@require_GET
@flow_page
def list_threads(request: SignedInRequest, flow: Flow) -> HttpResponse:
    """The list and the filters without the rest of the page, for an open page that updates itself."""
    return render(request, "flowdock_server/_list.html", sidebar_context(request, flow) | _list(request, flow))


@require_GET
@flow_page
def thread_pane(request: SignedInRequest, flow: Flow, thread_id: str) -> HttpResponse:
    """The thread without the rest of the page, for an open page that shows it in place."""
    context = {"flow": flow, "filters": Filters.read(request.GET)} | _opened(
        request, flow, _stored_thread(flow, thread_id)
    )
    return render(request, "flowdock_server/_thread.html", context)


@require_POST
@flow_page
def comment(request: SignedInRequest, flow: Flow, thread_id: str) -> HttpResponseBase:
    """Post a comment to the thread. It is not sent to the thread's service."""
    thread = _stored_thread(flow, thread_id)
    content = parameters.text(request.POST, "content").strip()
    filters = Filters.read(request.GET)
    if problem := too_long(content, "comment"):
        opened = _opened(request, flow, thread) | {"comment": content, "comment_problem": problem}
        return _page(request, flow, opened, status=400)
    draft = Draft(event="message", content=content, uuid=form_keys.uuid_of(request, content))
    try:
        message = post(draft, flow=flow, user=request.user, thread=thread)
    except Rejected:
        # Only spaces: nothing is posted, and no error is shown.
        return redirect(f"{thread.get_absolute_url()}{filters.query}#composer")
    thread.mark_read(request.user, message.number)
    return redirect(f"{thread.get_absolute_url()}{filters.query}#message-{message.number}")


@require_POST
@flow_page
def mark_done(request: SignedInRequest, flow: Flow, thread_id: str) -> HttpResponseBase:
    """Mark the thread as done for this person, until new activity. `done=0` moves it back to To do."""
    thread = _stored_thread(flow, thread_id)
    filters = Filters.read(request.GET)
    if request.POST.get("done") == "0":
        thread.mark_not_done(request.user)
        return redirect(f"{thread.get_absolute_url()}{filters.query}")
    thread.mark_done(request.user)
    return redirect(f"{flow.get_absolute_url()}{filters.query}")


@require_POST
@flow_page
def mark_unread(request: SignedInRequest, flow: Flow, thread_id: str) -> HttpResponseBase:
    thread = _stored_thread(flow, thread_id)
    thread.mark_unread(flow.membership)
    return redirect(f"{flow.get_absolute_url()}{Filters.read(request.GET).query}")


@require_POST
@flow_page
def mark_all_read(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Mark as read what the page has shown: `number` is the latest message that it knew of."""
    number = parameters.required_number(request.POST, "number")
    flow.membership.mark_inbox_read(number)
    return redirect(f"{flow.get_absolute_url()}{Filters.read(request.GET).query}")


def _page(
    request: SignedInRequest, flow: Flow, opened: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    context = sidebar_context(request, flow) | _list(request, flow) | (opened or {})
    return render(request, "flowdock_server/inbox.html", context, status=status)


def _list(request: SignedInRequest, flow: Flow) -> dict[str, Any]:
    filters = Filters.read(request.GET)
    shown = page(filters.threads(flow), request.GET.get("before", ""))
    return {
        "filters": filters,
        "sources": filters.sources(flow),
        "statuses": filters.statuses(flow),
        "views": filters.views(flow),
        "total": filters.total(flow),
        "page": shown,
        "has_threads": bool(shown.threads) or flow.threads.in_inbox().exists(),
    }


def _threads(flow: Flow) -> ThreadQuerySet:
    return flow.threads.with_source().with_marks_of(flow.membership)


def _thread(flow: Flow, thread_id: str) -> Thread:
    """A thread of the flow. That of a message without replies is not stored and has no marks. Raises Http404."""
    if (thread := chat_threads.find(flow, thread_id, _threads(flow))) is None:
        raise Http404
    return thread


def _stored_thread(flow: Flow, thread_id: str) -> Thread:
    return get_object_or_404(_threads(flow), pk=thread_id)


def _opened(request: SignedInRequest, flow: Flow, thread: Thread) -> dict[str, Any]:
    """Context for the thread with its newest messages, or with those before the number `earlier_than`.

    Marks the thread as read, unless the page is in the background and sends `unseen`.
    """
    messages = Message.objects.filter(thread=thread).with_authors_and_files().order_by("-number")
    before = parameters.number(request.GET, "earlier_than")
    if before is not None:
        messages = messages.filter(number__lt=before)
    found = list(messages[: TIMELINE + 1])
    # A thread that is not stored has no marks.
    if getattr(thread, "is_unread", False) and "unseen" not in request.GET:
        thread.mark_read(request.user)
    return {
        "thread": thread,
        "messages_shown": found[:TIMELINE][::-1],
        "has_earlier": len(found) > TIMELINE,
        "is_earlier": before is not None,
        "form_key": form_keys.form_key(),
        "wording": wording_of(flow, request.user),
    }
