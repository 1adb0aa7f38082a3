"""Downloads of files in a flow's messages."""

from __future__ import annotations

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET

from flowdock_server.models import Attachment, Flow
from flowdock_server.posting import files

from .access import SignedInRequest, flow_page


@require_GET
@flow_page
def open_file(request: SignedInRequest, flow: Flow, key: str, thumbnail: bool = False) -> HttpResponseBase:
    """Redirect to the file, at an address that expires soon."""
    attachment = get_object_or_404(Attachment, flow=flow, key=key, message__isnull=False)
    return redirect(files.download_url(attachment, thumbnail=thumbnail and attachment.has_thumbnail))
