"""Reading and posting what people type into the forms of a chat, with an error message where it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from flowdock_server.pages import form_keys, parameters
from flowdock_server.posting.drafts import MAX_CONTENT, Refused, Rejected

from .access import SignedInRequest

MAX_FILES = 10  # in one form


def typed_text(request: SignedInRequest) -> str:
    return parameters.text(request.POST, "content").strip("\r\n\t ")


def too_long(content: str, kind: str = "message") -> str:
    """What is wrong with a text that is over the limit; empty for others."""
    excess = len(content) - MAX_CONTENT
    return f"This {kind} is {excess} characters too long. The limit is {MAX_CONTENT}." if excess > 0 else ""


def post_form(
    request: SignedInRequest,
    content: str,
    *,
    post_text: Callable[[str, str], Any],
    post_file: Callable[[UploadedFile[Any], str], Any],
) -> str:
    """Post the files of the form, each as a message of its own, and `content`. Returns what is wrong, or nothing.

    Both functions take what they post and its uuid. The same form with the same content has the same uuid, so that
    pressing the button twice posts it once.
    """
    uploads = request.FILES.getlist("files")
    if problem := too_long(content):
        return problem
    if len(uploads) > MAX_FILES:
        return f"You selected {len(uploads)} files. Send at most {MAX_FILES} at once."
    try:
        for place, upload in enumerate(uploads):
            post_file(upload, form_keys.uuid_of(request, f"file {place} {upload.name} {upload.size}"))
        if content:
            post_text(content, form_keys.uuid_of(request, content))
    except (Rejected, Refused) as error:
        return error_sentence(error)
    return ""


def edit_form(request: SignedInRequest, content: str, edit: Callable[[str], None]) -> tuple[str, str] | None:
    """The text of a form that edits a message, and what is wrong with it. None once `edit` has changed the message."""
    if request.method != "POST":
        return content, ""
    content = typed_text(request)
    try:
        edit(content)
    except (Rejected, Refused) as error:
        return content, error_sentence(error)
    return None


def error_sentence(error: Rejected | Refused) -> str:
    """The reasons as a sentence: Flowdock's, such as "can't be blank", lack a subject."""
    if isinstance(error, Rejected):
        reasons = [reason for reasons in error.errors.values() for reason in reasons]
        return f"This {', and '.join(reasons)}." if reasons else "This message cannot be posted."
    return f"{str(error).removesuffix('.')}."
