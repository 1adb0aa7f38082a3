"""A person's status message."""

from __future__ import annotations

from django.contrib import messages as notices
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from flowdock_server.models import Flow
from flowdock_server.pages import parameters
from flowdock_server.posting import messages
from flowdock_server.posting.drafts import Refused, Rejected

from .access import SignedInRequest, flow_page
from .composing import error_sentence


@require_POST
@flow_page
def set_status(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Set the user's status: it is posted to the flow and shown beside their name. An empty one clears it."""
    status = " ".join(parameters.text(request.POST, "status").split())[:200]
    try:
        messages.set_status(status, flow=flow, user=request.user)
    except (Rejected, Refused) as error:
        notices.error(request, error_sentence(error))
    return redirect(f"{flow.get_absolute_url()}/chat")
