"""What people type into the forms of a chat: reading it, posting it, and saying what is wrong with it."""

from __future__ import annotations

import hashlib
from typing import Any

from flowdock_server.models import Flow
from flowdock_server.pages import form_keys
from flowdock_server.posting import messages
from flowdock_server.posting.drafts import MAX_CONTENT, Draft, Refused, Rejected

from .access import SignedInRequest

MAX_FILES = 10  # in one form


def typed(request: SignedInRequest) -> str:
    return request.POST.get("content", "").replace("\x00", "").strip("\r\n\t ")


def post_form(request: SignedInRequest, flow: Flow, content: str, **draft: Any) -> str:
    """Post what the form holds; what was wrong with it, or nothing.

    The same form with the same words is the same message: a second press of the button adds none.
    """
    if len(content) > MAX_CONTENT:
        return f"This message is {len(content) - MAX_CONTENT} characters too long. The limit is {MAX_CONTENT}."
    uploads = request.FILES.getlist("files")
    if len(uploads) > MAX_FILES:
        return f"You selected {len(uploads)} files. Send at most {MAX_FILES} at once."
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


def in_words(error: Rejected | Refused) -> str:
    """Flowdock's reasons as a sentence: "can't be blank" is said of nothing that a page names."""
    if isinstance(error, Rejected):
        reasons = [reason for reasons in error.errors.values() for reason in reasons]
        return f"This {', and '.join(reasons)}." if reasons else "This message cannot be posted."
    return f"{error}."
