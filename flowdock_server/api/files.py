"""Files: from the `path` of an attachment to its content.

The path requires a key and redirects to a signed URL that anybody can use for a short time, as Flowdock's storage did.
The content is served as a download that no browser runs.
"""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe
from ninja import Router

from flowdock_server.models import Attachment
from flowdock_server.posting import files

from .auth import Caller, Key, Person, PersonRequest, person
from .errors import Forbidden

router = Router(tags=["files"])


class SignedIn(Key):
    """The session of the pages, since images in pages have the same URLs. For reading only."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = "flowdock_session"
    openapi_description = "The session cookie of somebody who is signed in to the pages"

    def find(self, request: HttpRequest) -> Caller | None:
        return Person(user=request.user) if request.user.is_authenticated and request.user.is_active else None


READERS = [*person("flow", "private"), SignedIn()]


@router.get("/files/{key}/thumb/{path:name}", auth=READERS, response={302: None})
def open_thumbnail(request: PersonRequest, key: str, name: str) -> HttpResponseBase:
    """Redirect to a URL of an image's thumbnail that works for a short time. This is the `path` of a `thumbnail`.

    404 if the caller may not see the file, or it has no thumbnail.
    """
    attachment = _open(request.auth, key)
    if not attachment.has_thumbnail:
        raise Http404
    return _redirect(files.download_url(attachment, thumbnail=True))


@router.get("/files/{key}/{path:name}", auth=READERS, response={302: None})
def open_file(request: PersonRequest, key: str, name: str) -> HttpResponseBase:
    """Redirect to a URL from which the file can be downloaded for a short time. This is the `path` of an attachment.

    404 if the caller may not see the file.
    """
    return _redirect(files.download_url(_open(request.auth, key)))


def _open(caller: Person, key: str) -> Attachment:
    """A file in a flow of the caller, or in a private message that they sent or received. Raises Http404, Forbidden."""
    attachment = get_object_or_404(Attachment.objects.open_to(caller.user), key=key)
    scope = "private" if attachment.private_message_id else "flow"
    if not caller.may(scope):
        raise Forbidden(f"This request requires the scope {scope}")
    return attachment


def _redirect(address: str) -> HttpResponseBase:
    response = HttpResponseRedirect(address)
    response["Cache-Control"] = "no-store"  # the URL expires
    return response


@require_safe
def download(request: HttpRequest, key: str, token: str, name: str) -> HttpResponseBase:
    """The content, until the signed URL expires. `name` is what browsers save it as."""
    if not files.is_signed(key, token):
        raise Http404
    attachment = get_object_or_404(Attachment, key=key.removesuffix(files.THUMBNAIL_ENDING))
    try:
        with files.storage().open(key) as opened:
            data = opened.read()
    except FileNotFoundError as error:
        raise Http404 from error
    is_thumbnail = key.endswith(files.THUMBNAIL_ENDING)
    content_type = files.thumbnail_type(attachment) if is_thumbnail else attachment.content_type
    return HttpResponse(data, headers=_download_headers(content_type, attachment.file_name))


def _download_headers(content_type: str, file_name: str) -> dict[str, str]:
    return {
        "Content-Disposition": content_disposition_header(True, file_name) or "attachment",
        "Content-Type": content_type if files.HARMLESS.fullmatch(content_type) else files.UNKNOWN,
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": f"private, max-age={files.LASTS}",
    }
