"""What two people say to each other and nobody else reads."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from flowdock_server import private
from flowdock_server.drafts import MAX_CONTENT, Refused, Rejected
from flowdock_server.models import Conversation, PrivateMessage, User

from . import once
from .chat import PAGE, Line, in_context, in_words, is_here
from .frame import conversations, frame
from .words import Wording


@never_cache
@login_required
@require_GET
def show_all(request: HttpRequest) -> HttpResponse:
    """Whom one talks with, and whom one could."""
    talks = conversations(request.user)
    known = {each.other.pk for each in talks}
    others = private.partners(request.user).filter(is_active=True).exclude(pk__in=known)
    context = {"talks": talks, "others": others.order_by("name")[:500], "section": "private"}
    return render(request, "flowdock_server/private_list.html", context)


@never_cache
@login_required
@require_GET
def show(request: HttpRequest, user_id: int) -> HttpResponse:
    return _page(request, _other(request, user_id))


@never_cache
@login_required
@require_GET
def lines(request: HttpRequest, user_id: int) -> HttpResponse:
    """The messages alone, for a page that is open and brings itself up to date."""
    other = _other(request, user_id)
    return render(request, "flowdock_server/_chat_parts.html", frame(request) | _said(request, other))


@never_cache
@login_required
@require_POST
def say(request: HttpRequest, user_id: int) -> HttpResponseBase:
    other = _other(request, user_id)
    content = request.POST.get("content", "").replace("\x00", "").strip("\r\n\t ")
    if len(content) > MAX_CONTENT:
        problem = f"This is too long by {len(content) - MAX_CONTENT} characters. A message has room for {MAX_CONTENT}."
        return _page(request, other, {"typed": content, "problem": problem}, status=400)
    if content:
        key = f"{request.POST.get(once.FIELD, '')[:64]}:{content}"
        try:
            private.say(content, by=request.user, to=other, uuid=hashlib.sha256(key.encode()).hexdigest())
        except (Rejected, Refused) as error:
            return _page(request, other, {"typed": content, "problem": in_words(error)}, status=400)
    return redirect("private", user_id)


@never_cache
@login_required
@require_POST
def close(request: HttpRequest, user_id: int) -> HttpResponseBase:
    """Take the conversation off one's list until something is said in it."""
    found = _conversation(request.user, _other(request, user_id))
    if found:
        Conversation.objects.filter(pk=found.pk).update(**{f"{found.side(request.user)}_open": False})
    return redirect("private-list")


def _other(request: HttpRequest, user_id: int) -> User:
    """Somebody one may talk with: who shares a flow, and whom one has talked with before."""
    if user_id >= 2**62:
        raise BadRequest("nobody has this number")
    return get_object_or_404(private.partners(request.user), pk=user_id)


def _conversation(user: User, other: User) -> Conversation | None:
    """None while nothing has been said: to look is not to begin one."""
    return Conversation.objects.of(user).of(other).select_related("first", "second").first()


def _page(request: HttpRequest, other: User, shown: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    context = frame(request) | _said(request, other) | (shown or {})
    return render(request, "flowdock_server/private.html", context, status=status)


def _said(request: HttpRequest, other: User) -> dict[str, Any]:
    user = request.user
    found = _conversation(user, other)
    said = PrivateMessage.objects.filter(conversation=found).select_related("user").order_by("-number")
    before = _number(request.GET["before"]) if "before" in request.GET else None
    if before is not None:
        said = said.filter(number__lt=before)
    words = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    for word in words.split()[:8]:
        said = said.filter(content__icontains=word)
    part = list(said[: PAGE + 1]) if found else []
    side = found.side(user) if found else ""
    read_to = getattr(found, f"{side}_read_number") if found else 0
    line_at = _number(request.GET["line"]) if "line" in request.GET else read_to
    listed = [Line(message, is_own=message.user_id == user.pk, names_me=False) for message in part[:PAGE][::-1]]
    if found and before is None and not words and "unseen" not in request.GET and found.last_number > read_to:
        Conversation.objects.filter(pk=found.pk).update(**{f"{side}_read_number": found.last_number})
    return {
        "chat": True,
        "chat_address": reverse("private", args=[other.pk]),
        "is_private": True,
        "other_person": other,
        "other_is_here": is_here(other),
        "last_number": found.last_number if found else 0,
        "is_on_list": bool(found and getattr(found, f"{side}_open")),
        "lines": in_context(listed, line_at),
        "has_earlier": len(part) > PAGE,
        "is_latest": before is None,
        "line_at": line_at,
        "words": words,
        "wording": Wording(nicks=frozenset({other.nick.lower(), user.nick.lower()}), own_nick=user.nick.lower()),
        "form_key": once.form_key(),
        "max_content": MAX_CONTENT,
    }


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest("this is no number of a message")
    return int(text)
