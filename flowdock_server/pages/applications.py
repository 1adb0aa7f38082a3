"""The pages of a developer's own OAuth applications."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flowdock_server.models import Application, Flow, HasSources, Source
from flowdock_server.pages import form_keys

from .access import SignedInRequest
from .forms import ApplicationForm, SourceForm


@never_cache
@login_required
@require_GET
def show(request: SignedInRequest) -> HttpResponse:
    own = Application.objects.filter(user=request.user).order_by("name", "pk")
    return render(request, "flowdock_server/applications.html", {"applications": own, "section": "applications"})


@sensitive_variables("secret")
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def create(request: SignedInRequest) -> HttpResponseBase:
    draft = Application.draft(user=request.user)
    form = ApplicationForm(request.POST or None, instance=draft)
    if request.method == "POST" and form.is_valid():
        if not form_keys.first_time(request):
            return redirect("applications")
        secret = draft.client_secret  # saving replaces it by a digest
        application = form.save()
        return _page(request, application, secret=secret, outcome=f"{application.name} was registered.")
    context = {"form": form, "form_key": form_keys.form_key(), "section": "applications"}
    return render(request, "flowdock_server/new_application.html", context, status=400 if form.errors else 200)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def edit(request: SignedInRequest, application_id: int) -> HttpResponseBase:
    application = _own(request, application_id)
    form = ApplicationForm(request.POST or None, instance=application)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "The application was saved.")
        return redirect("application", application.pk)
    if form.errors:
        # The page's heading and links show what is stored, not what was refused.
        application = _own(request, application_id)
    return _page(request, application, form=form, status=400 if form.errors else 200)


@sensitive_variables("secret")
@never_cache
@login_required
@require_POST
def rotate_secret(request: SignedInRequest, application_id: int) -> HttpResponseBase:
    application = _own(request, application_id)
    if not form_keys.first_time(request):
        return redirect("application", application.pk)
    secret = application.rotate_secret()
    return _page(request, application, secret=secret, outcome="The secret was replaced. The old one no longer works.")


@sensitive_variables("token")
@never_cache
@login_required
@require_POST
def connect(request: SignedInRequest, application_id: int) -> HttpResponseBase:
    """Create a source and its flow token without OAuth."""
    application = _own(request, application_id)
    form = SourceForm(request.user, request.POST)
    if not form.is_valid():
        return _page(request, application, source_form=form, status=400)
    if not form_keys.first_time(request):
        return redirect("application", application.pk)
    source, token = Source.connect(application=application, creator=request.user, **form.cleaned_data)
    return _page(request, application, source=source, flow_token=token)


@never_cache
@login_required
@require_POST
def delete(request: SignedInRequest, application_id: int) -> HttpResponseBase:
    application = Application.objects.filter(user=request.user, pk=application_id).first()
    if application is None:  # as after a second press of the button
        return redirect("applications")
    try:
        application.remove()
    except HasSources:
        messages.error(request, f"{application.name} cannot be deleted, because it has connected sources.")
        return redirect("application", application.pk)
    messages.success(request, f"{application.name} was deleted.")
    return redirect("applications")


def _own(request: SignedInRequest, application_id: int) -> Application:
    return get_object_or_404(Application, user=request.user, pk=application_id)


def _page(
    request: SignedInRequest,
    application: Application,
    *,
    form: ApplicationForm | None = None,
    source_form: SourceForm | None = None,
    status: int = 200,
    **shown: Any,
) -> HttpResponse:
    """Render the application's page. Secrets in `shown` are on this response only; the browser stores none."""
    flows = list(Flow.objects.open_to(request.user).select_related("organization"))
    chosen = next((flow for flow in flows if str(flow.pk) == request.GET.get("flow")), None)
    context = {
        "application": application,
        "form": form or ApplicationForm(instance=application),
        "source_form": source_form or SourceForm(request.user),
        "flows": flows,
        "chosen_flow": chosen,
        "setup_address": application.setup_address(chosen) if chosen and application.setup_uri else "",
        "sources": application.sources.count(),
        "form_key": form_keys.form_key(),
        "section": "applications",
        **shown,
    }
    return render(request, "flowdock_server/application.html", context, status=status)
