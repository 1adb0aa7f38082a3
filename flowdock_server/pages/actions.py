"""Running an action of a thread, from its button on the thread's page.

A form posts `signature` (of `flowdock_server.posting.actions.signature`) to the URL `press-action`. The outcome is
shown on the thread's page; a script (`Accept: application/json`) gets `{"message", "done", "url"}`.
"""

from django.contrib import messages
from django.http import Http404, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from flowdock_server.models import Flow
from flowdock_server.posting import actions
from flowdock_server.posting.drafts import Refused

from .access import SignedInRequest, flow_page
from .composing import error_sentence


@require_POST
@flow_page
def press(request: SignedInRequest, flow: Flow, thread_id: str, number: int) -> HttpResponseBase:
    threads = flow.threads.with_source()
    thread = get_object_or_404(threads, pk=thread_id)
    try:
        outcome = actions.press(thread, number, request.user, request.POST.get("signature", ""))
    except actions.NoSuchAction as error:
        raise Http404 from error
    except Refused as error:
        outcome = actions.Outcome(False, error_sentence(error))
    except actions.TooManyCalls as error:
        outcome = actions.Outcome(False, str(error))
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"message": outcome.message, "done": outcome.done, "url": outcome.url})
    _show_outcome(request, outcome)
    return redirect("thread", flow.organization.parameterized_name, flow.parameterized_name, thread.pk)


def _show_outcome(request: SignedInRequest, outcome: actions.Outcome) -> None:
    if outcome.url:
        link = '{} <a href="{}" rel="noopener noreferrer nofollow">Sign in there</a>'
        messages.warning(request, format_html(link, outcome.message, outcome.url))
    elif outcome.done:
        messages.success(request, outcome.message or "Done.")
    else:
        messages.error(request, outcome.message)
