"""The thread of a chat message: the message with its replies beside the chat, and posting a reply."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from flowdock_server.models import Flow, Message
from flowdock_server.pages import form_keys
from flowdock_server.posting import chat_threads

from .access import SignedInRequest, flow_page
from .chat import chat_page, message_or_404, post_to_flow, wording_for
from .composing import typed_text
from .lines import annotated, line_of
from .presence import people_in

MOST_REPLIES = 500  # the newest ones of a thread, shown at once


@require_GET
@flow_page
def show_message(request: SignedInRequest, flow: Flow, number: int) -> HttpResponseBase:
    """Show a message with its replies. A reply redirects to its first message, one of the inbox to its thread there."""
    root = message_or_404(flow, number)
    thread = root.thread
    if thread and not thread.is_chat:
        return redirect(f"{thread.get_absolute_url()}#message-{root.number}")
    if thread and (first := thread.messages.values_list("number", flat=True).first()) != root.number:
        return redirect(f"{flow.get_absolute_url()}/chat/{first}#message-{root.number}")
    return chat_page(request, flow, _replies(request, flow, root))


@require_GET
@flow_page
def replies(request: SignedInRequest, flow: Flow, number: int) -> HttpResponse:
    """The message and its replies without the rest of the page."""
    context = {"flow": flow, "wording": wording_for(request, flow, people_in(flow))}
    return render(
        request, "flowdock_server/_chat_thread.html", context | _replies(request, flow, message_or_404(flow, number))
    )


@require_POST
@flow_page
def reply(request: SignedInRequest, flow: Flow, number: int) -> HttpResponseBase:
    """Post a reply to a message."""
    root = message_or_404(flow, number)
    content = typed_text(request)
    thread_id = root.thread_id or chat_threads.thread_id(flow.pk, root.number)
    if problem := post_to_flow(request, flow, content, thread_id):
        context = _replies(request, flow, root) | {"typed_comment": content, "comment_problem": problem}
        return chat_page(request, flow, context, status=400)
    return redirect(f"{flow.get_absolute_url()}/chat/{root.number}#comment")


def _replies(request: SignedInRequest, flow: Flow, root: Message) -> dict[str, Any]:
    replies = (
        Message.objects.filter(thread=root.thread_id).exclude(pk=root.pk) if root.thread_id else Message.objects.none()
    )
    newest = list(replies.with_threads().order_by("-number")[:MOST_REPLIES])[::-1]
    return {
        "root": line_of(root, request.user),
        "replies": annotated([line_of(message, request.user) for message in newest], 0),
        "form_key": form_keys.form_key(),
    }
