"""The pages of private conversations: messages and files between two people, which nobody else can open."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flowdock_server.models import Conversation, PrivateMessage, User
from flowdock_server.models.private import PrivateMessageQuerySet
from flowdock_server.pages import form_keys, parameters
from flowdock_server.pages.layout import conversations, sidebar_context
from flowdock_server.pages.wording import Wording
from flowdock_server.people import private
from flowdock_server.posting import files
from flowdock_server.posting.drafts import MAX_CONTENT, Refused

from .access import SignedInRequest
from .chat import PAGE
from .composing import edit_form, error_sentence, post_form, typed_text
from .lines import Line, annotated
from .presence import is_online


@never_cache
@login_required
@require_GET
def show_all(request: SignedInRequest) -> HttpResponse:
    """List the user's conversations, and the people they could write to."""
    open_conversations = conversations(request.user)
    known = {each.other.pk for each in open_conversations}
    others = private.partners(request.user).filter(is_active=True).exclude(pk__in=known)
    context = {"open_conversations": open_conversations, "others": others.order_by("name")[:500], "section": "private"}
    return render(request, "flowdock_server/private_list.html", context)


@never_cache
@login_required
@require_GET
def show(request: SignedInRequest, user_id: int) -> HttpResponse:
    return _page(request, _other(request, user_id))


@never_cache
@login_required
@require_GET
def lines(request: SignedInRequest, user_id: int) -> HttpResponse:
    """The messages without the rest of the page, for an open page that updates itself."""
    other = _other(request, user_id)
    return render(request, "flowdock_server/_chat_parts.html", sidebar_context(request) | _list_context(request, other))


@never_cache
@login_required
@require_GET
def line(request: SignedInRequest, user_id: int, number: int) -> HttpResponse:
    """The message as a line, for an open page that shows an older message which has changed."""
    other = _other(request, user_id)
    message = get_object_or_404(_shown(_conversation(request.user, other)), number=number)
    context = _context(request.user, other) | {"line": _line(message, request.user)}
    return render(request, "flowdock_server/_line.html", context)


@never_cache
@login_required
@require_POST
def send(request: SignedInRequest, user_id: int) -> HttpResponseBase:
    """Send a message, and files, which are messages of their own."""
    other = _other(request, user_id)
    content = typed_text(request)

    def post_file(upload: UploadedFile[Any], uuid: str) -> None:
        read = files.Upload.read(upload, "content")
        private.post(upload=read, by=request.user, to=other, uuid=uuid)

    def post_text(text: str, uuid: str) -> None:
        private.post(text, by=request.user, to=other, uuid=uuid)

    if problem := post_form(request, content, post_text=post_text, post_file=post_file):
        return _page(request, other, {"typed": content, "problem": problem}, status=400)
    return redirect("private", user_id)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def edit(request: SignedInRequest, user_id: int, number: int) -> HttpResponseBase:
    """Edit a message of one's own."""
    other = _other(request, user_id)
    message = get_object_or_404(_shown(_conversation(request.user, other)), number=number)
    if not message.may_be_edited_by(request.user):
        raise Http404
    shown = edit_form(request, message.content, lambda text: private.edit(message, request.user, content=text))
    if shown is None:
        return redirect(f"{reverse('private', args=[user_id])}#message-{number}")
    content, problem = shown
    context = {"message": message, "typed": content, "problem": problem, "max_content": MAX_CONTENT}
    context |= _context(request.user, other) | {"section": "private"}
    return render(request, "flowdock_server/edit_private_message.html", context, status=400 if problem else 200)


@never_cache
@login_required
@require_POST
def delete(request: SignedInRequest, user_id: int, number: int) -> HttpResponseBase:
    """Delete a file, or clear the text of a message, of one's own."""
    other = _other(request, user_id)
    found = _shown(_conversation(request.user, other)).filter(number=number).first()
    if found:  # else it was deleted, as after a second press of the button
        try:
            private.delete(found, request.user)
        except Refused as error:
            notices.error(request, error_sentence(error))
    return redirect("private", user_id)


@never_cache
@login_required
@require_POST
def close(request: SignedInRequest, user_id: int) -> HttpResponseBase:
    """Hide the conversation from the user's list until the next message in it."""
    found = _conversation(request.user, _other(request, user_id))
    if found:
        found.set_open(request.user, False)
    return redirect("private-list")


def _other(request: SignedInRequest, user_id: int) -> User:
    """A person the user can write to: one who shares a flow with them, or with whom they have a conversation."""
    return get_object_or_404(private.partners(request.user), pk=user_id)


def _conversation(user: User, other: User) -> Conversation | None:
    """None before the first message: opening the page does not create a conversation."""
    return Conversation.objects.of(user).of(other).select_related("first", "second").first()


def _page(
    request: SignedInRequest, other: User, shown: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    context = sidebar_context(request) | _list_context(request, other) | (shown or {})
    return render(request, "flowdock_server/private.html", context, status=status)


def _list_context(request: SignedInRequest, other: User) -> dict[str, Any]:
    user = request.user
    found = _conversation(user, other)
    messages = _shown(found).order_by("-number")
    before = parameters.number(request.GET, "before")
    if before is not None:
        messages = messages.filter(number__lt=before)
    words = parameters.text(request.GET, "q").strip()[:200]
    messages = messages.containing(words.split()[:8])
    part = list(messages[: PAGE + 1]) if found else []
    if (line_at := parameters.number(request.GET, "line")) is None:
        line_at = found.read_number_of(user) if found else 0
    listed = [_line(message, user) for message in part[:PAGE][::-1]]
    if found and before is None and not words and "unseen" not in request.GET:
        found.mark_read(user)
    return _context(user, other) | {
        "chat": True,
        "other_is_online": is_online(other),
        "last_number": found.last_number if found else 0,
        "is_on_list": bool(found and found.is_open_for(user)),
        "lines": annotated(listed, line_at),
        "has_earlier": len(part) > PAGE,
        "is_latest": before is None,
        "line_at": line_at,
        "words": words,
        "form_key": form_keys.form_key(),
        "max_content": MAX_CONTENT,
    }


def _context(user: User, other: User) -> dict[str, Any]:
    """Context that every message of the conversation is rendered with."""
    return {
        "chat_address": reverse("private", args=[other.pk]),
        "is_private": True,
        "other_person": other,
        "wording": Wording(nicks=frozenset({other.nick.lower(), user.nick.lower()}), own_nick=user.nick.lower()),
    }


def _shown(conversation: Conversation | None) -> PrivateMessageQuerySet:
    return PrivateMessage.objects.in_chat().filter(conversation=conversation).with_authors_and_files()


def _line(message: PrivateMessage, user: User) -> Line:
    return Line(message, is_own=message.is_by(user), mentions_me=False)
