"""A flow's inbox settings: connected sources, applications to add, and removing a source."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from flowdock_server.models import Application, Flow, Source

from .access import SignedInRequest, flow_page


@require_GET
@flow_page
def settings(request: SignedInRequest, flow: Flow) -> HttpResponse:
    sources = (
        Source.objects.connected().filter(flow=flow).select_related("application", "creator", "flow__organization")
    )
    addable = Application.objects.offered_to(request.user)
    context = {
        "flow": flow,
        "sources": sources,
        "with_errors": [source for source in sources if source.error_message],
        "addable": [(application, application.setup_address(flow)) for application in addable.order_by("name", "pk")],
    }
    return render(request, "flowdock_server/settings.html", context)


@require_POST
@flow_page
def remove(request: SignedInRequest, flow: Flow, source_id: int) -> HttpResponseBase:
    source = get_object_or_404(Source, flow=flow, pk=source_id)
    if source.removed_at is None:
        source.remove()
        messages.success(request, f"{source.name} was removed and no longer posts to {flow.name}.")
    return redirect("inbox-settings", flow.organization.parameterized_name, flow.parameterized_name)
