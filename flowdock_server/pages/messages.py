"""The views of a single message of a flow: show, edit and delete."""

from __future__ import annotations

from django.contrib import messages as notices
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from flowdock_server.models import Flow, Message
from flowdock_server.pages.wording import wording_of
from flowdock_server.posting import messages
from flowdock_server.posting.drafts import MAX_CONTENT, Refused

from .access import SignedInRequest, flow_page
from .chat import message_or_404, wording_for
from .composing import edit_form, error_sentence
from .lines import line_of
from .presence import people_in


@require_GET
@flow_page
def line(request: SignedInRequest, flow: Flow, number: int) -> HttpResponse:
    """The message as a line, for an open page that shows an older message which has changed."""
    found = get_object_or_404(flow.messages.in_chat().with_threads(), number=number)
    context = {
        "flow": flow,
        "wording": wording_for(request, flow, people_in(flow)),
        "line": line_of(found, request.user),
    }
    return render(request, "flowdock_server/_line.html", context)


@require_http_methods(["GET", "POST"])
@flow_page
def edit(request: SignedInRequest, flow: Flow, number: int) -> HttpResponseBase:
    """Edit a message of one's own."""
    message = _own(request, flow, number)
    shown = edit_form(request, message.content, lambda text: messages.edit(message, request.user, content=text))
    if shown is None:
        return redirect(f"{flow.get_absolute_url()}/chat?at={number}#message-{number}")
    content, problem = shown
    context = {"flow": flow, "message": message, "typed": content, "problem": problem, "max_content": MAX_CONTENT}
    return render(request, "flowdock_server/edit_message.html", context, status=400 if problem else 200)


@require_http_methods(["GET", "POST"])
@flow_page
def delete(request: SignedInRequest, flow: Flow, number: int) -> HttpResponseBase:
    """Delete one's own chat message, or one of the inbox, which every member may delete. GET asks for confirmation."""
    found = flow.messages.with_threads().filter(number=number).first()
    if request.method == "GET":
        return _ask_to_delete(request, flow, found)
    if found is None:  # as after a second press of the button
        return redirect(f"{flow.get_absolute_url()}/chat")
    thread = found.thread
    try:
        messages.delete(found, request.user)
    except Refused as error:
        notices.error(request, error_sentence(error))
    if not found.belongs_in_inbox and not (thread and thread.source_id):
        return redirect(f"{flow.get_absolute_url()}/chat")
    return redirect(thread.get_absolute_url() if thread and thread.messages.exists() else flow)


def _ask_to_delete(request: SignedInRequest, flow: Flow, message: Message | None) -> HttpResponse:
    if message is None or not message.may_be_removed_by(request.user):
        raise Http404
    thread = message.thread
    context = {
        "flow": flow,
        "thread": thread,
        "message": message,
        "wording": wording_of(flow, request.user),
        "is_last": bool(thread and thread.source_id and not thread.messages.exclude(pk=message.pk).exists()),
        "return_address": f"{thread.get_absolute_url()}#message-{message.number}"
        if thread
        else flow.get_absolute_url(),
    }
    return render(request, "flowdock_server/delete_message.html", context)


def _own(request: SignedInRequest, flow: Flow, number: int) -> Message:
    """A message that the user may edit; Http404 for any other."""
    message = message_or_404(flow, number)
    if not message.may_be_edited_by(request.user):
        raise Http404
    return message
