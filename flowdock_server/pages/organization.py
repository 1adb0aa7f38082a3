"""An organization: its flows, people and admins."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from flowdock_server.models import Flow, Organization
from flowdock_server.pages import form_keys
from flowdock_server.people import flows, invite_links, organizations

from .access import SignedInRequest
from .forms import Form


class NewFlowForm(Form):
    name = forms.CharField(label="Name", max_length=100)
    access_mode = forms.ChoiceField(
        label="Who can join", choices=Flow.AccessMode.choices, initial=Flow.AccessMode.ORGANIZATION
    )


class NameForm(Form, forms.ModelForm):  # type: ignore[type-arg]  # it has none when it runs
    class Meta:
        model = Organization
        fields = ["name"]
        labels = {"name": "Name"}


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def show(request: SignedInRequest, organization: str) -> HttpResponseBase:
    found = _own(request, organization)
    if request.method == "GET":
        return _page(request, found)
    _for_admins(request, found)
    form = NameForm(request.POST, instance=found)
    if not form.is_valid():
        return _page(request, _own(request, organization), name_form=form, status=400)
    organizations.rename(found, form.cleaned_data["name"])
    messages.success(request, "The organization was renamed.")
    return redirect("organization", organization)


@never_cache
@login_required
@require_POST
def create_flow(request: SignedInRequest, organization: str) -> HttpResponseBase:
    found = _own(request, organization)
    form = NewFlowForm(request.POST)
    if form.is_valid():
        if not form_keys.first_time(request):
            return redirect("organization", organization)
        try:
            flow = flows.create(found, form.cleaned_data["name"], form.cleaned_data["access_mode"], by=request.user)
        except flows.NoAddressLeft:
            form.add_error("name", "This organization has too many flows with this name. Choose another name.")
        else:
            messages.success(request, f"{flow.name} was created. Now invite people.")
            return redirect("flow-people", organization, flow.parameterized_name)
    return _page(request, found, flow_form=form, status=400)


@never_cache
@login_required
@require_POST
def join_flow(request: SignedInRequest, organization: str, flow: str) -> HttpResponseBase:
    """Join a flow that is open to the organization."""
    found = _own(request, organization)
    joinable = Flow.objects.joinable_by(request.user).select_related("organization")
    joined = joinable.filter(organization=found, parameterized_name=flow).first()
    if joined is None:  # as after a second press of the button
        joined = get_object_or_404(Flow.objects.open_to(request.user), organization=found, parameterized_name=flow)
    invite_links.join(joined, request.user)
    return redirect(joined)


@never_cache
@login_required
@require_POST
def set_admin(request: SignedInRequest, organization: str, user_id: int) -> HttpResponseBase:
    """Make a member an admin of the organization, or remove them as an admin with `admin=0`."""
    found = _own(request, organization)
    _for_admins(request, found)
    membership = get_object_or_404(found.memberships.exclude(user=request.user).select_related("user"), user_id=user_id)
    if request.POST.get("admin") == "0":
        organizations.remove_admin(membership)
        messages.success(request, f"{membership.user.name} is no longer an admin of {found.name}.")
    else:
        organizations.make_admin(membership)
        messages.success(request, f"{membership.user.name} is now an admin of {found.name}.")
    return redirect("organization", organization)


@never_cache
@login_required
@require_POST
def remove(request: SignedInRequest, organization: str, user_id: int) -> HttpResponseBase:
    """Remove a member from the organization and all its flows. The last admin cannot leave."""
    found = _own(request, organization)
    if user_id != request.user.pk:
        _for_admins(request, found)
    membership = get_object_or_404(found.memberships.select_related("user"), user_id=user_id)
    try:
        organizations.remove_member(found, membership.user)
    except organizations.LastAdmin:
        messages.error(request, f"You are the only admin of {found.name}. Make someone else an admin first.")
        return redirect("organization", organization)
    if user_id == request.user.pk:
        messages.success(request, f"You left {found.name} and all its flows. Your messages stay.")
        return redirect("flows")
    name = membership.user.name
    messages.success(request, f"{name} was removed from {found.name} and all its flows. Their messages stay.")
    return redirect("organization", organization)


def _own(request: SignedInRequest, organization: str) -> Organization:
    return get_object_or_404(Organization.objects.of(request.user), parameterized_name=organization)


def _for_admins(request: SignedInRequest, organization: Organization) -> None:
    if not organizations.is_admin(request.user, organization):
        raise Http404


def _page(
    request: SignedInRequest,
    organization: Organization,
    *,
    name_form: NameForm | None = None,
    flow_form: NewFlowForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = request.user
    inside = organization.flows.open_to(user)
    people = organizations.members_visible_to(user, organization).with_flow_count()
    context: dict[str, Any] = {
        "organization": organization,
        "people": people.order_by("user__name"),
        "flows": inside.order_by("disabled", "name"),
        "joinable": organization.flows.joinable_by(user).order_by("name"),
        "is_admin": organizations.is_admin(user, organization),
        "name_form": name_form or NameForm(instance=organization),
        "flow_form": flow_form or NewFlowForm(),
        "form_key": form_keys.form_key(),
        "section": "flows",
    }
    return render(request, "flowdock_server/organization.html", context, status=status)
