"""Files: from the `path` of an attachment to its bytes.

The path asks who calls, and leads on to an address that anybody can use for a short time, as Flowdock's storage did.
What it serves is a download that no browser runs, whoever uploaded it.
"""

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe
from ninja import Router

from flowdock_server.models import Attachment, Conversation, Flow
from flowdock_server.posting import files

from .auth import Caller, Key, person
from .errors import Forbidden

router = Router(tags=["files"])


class SignedIn(Key):
    """Who is signed in to the pages: pictures in them are at the same addresses. For reading only."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = "flowdock_session"
    openapi_description = "The session of the pages"

    def find(self, request: HttpRequest) -> Caller | None:
        return Caller(user=request.user) if request.user.is_authenticated and request.user.is_active else None


READERS = [*person("flow", "private"), SignedIn()]


@router.get("/files/{key}/thumb/{path:name}", auth=READERS, response={302: None})
def open_thumbnail(request: HttpRequest, key: str, name: str) -> HttpResponseBase:
    """Redirect to the thumbnail of a picture. The `path` of an attachment's `thumbnail` is this path."""
    attachment = _open(request.auth, key)
    if not attachment.has_thumbnail:
        raise Http404
    return _leading_to(files.address_of(attachment, thumbnail=True))


@router.get("/files/{key}/{path:name}", auth=READERS, response={302: None})
def open_file(request: HttpRequest, key: str, name: str) -> HttpResponseBase:
    """Redirect to the content of a file. The `path` of an attachment is this path."""
    return _leading_to(files.address_of(_open(request.auth, key)))


def _open(caller: Caller, key: str) -> Attachment:
    """A file of a flow that the caller is in, or of a private message that they sent or received."""
    of_flow = Q(message__isnull=False, flow__in=Flow.objects.open_to(caller.user).values("pk"))
    in_private = Q(private_message__conversation__in=Conversation.objects.of(caller.user).values("pk"))
    attachment = get_object_or_404(Attachment, of_flow | in_private, key=key)
    scope = "private" if attachment.private_message_id else "flow"
    if not caller.may(scope):
        raise Forbidden(f"This needs the scope {scope}")
    return attachment


def _leading_to(address: str) -> HttpResponseBase:
    response = HttpResponseRedirect(address)
    response["Cache-Control"] = "no-store"  # the address ends
    return response


@require_safe
def download(request: HttpRequest, key: str, token: str, name: str) -> HttpResponseBase:
    """The bytes, for as long as the address lasts. `name` is for those who save them."""
    if not files.is_signed(key, token):
        raise Http404
    attachment = get_object_or_404(Attachment, key=key.removesuffix(files.THUMBNAIL_ENDING))
    try:
        with files.store().open(key) as opened:
            data = opened.read()
    except FileNotFoundError as error:
        raise Http404 from error
    is_thumbnail = key.endswith(files.THUMBNAIL_ENDING)
    content_type = files.thumbnail_type(attachment) if is_thumbnail else attachment.content_type
    return HttpResponse(data, headers=_harmless(content_type, attachment.file_name))


def _harmless(content_type: str, file_name: str) -> dict[str, str]:
    return {
        "Content-Disposition": content_disposition_header(True, file_name) or "attachment",
        "Content-Type": content_type if files.HARMLESS.fullmatch(content_type) else files.UNKNOWN,
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": f"private, max-age={files.LASTS}",
    }
