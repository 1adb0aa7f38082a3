"""A flow's settings and people. Members see them; most changes are for admins of the organization."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flowdock_server.models import Flow, FlowMembership, User
from flowdock_server.pages import form_keys
from flowdock_server.parsing.numbers import whole_number
from flowdock_server.people import flows, invitations, invite_links, members, organizations

from .access import SignedInRequest, flow_page
from .forms import Form


class FlowForm(Form, forms.ModelForm):  # type: ignore[type-arg]  # it has none when it runs
    class Meta:
        model = Flow
        fields = ["name", "access_mode"]
        labels = {"name": "Name", "access_mode": "Who can join"}
        help_texts = {"name": "Renaming the flow does not change its address."}

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        return name.strip()


class InvitationForm(Form):
    emails = forms.CharField(
        label="E-mail addresses",
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "lea@example.com, otto@example.com"}),
        help_text="Separate addresses by commas or lines. Members of the organization join right away.",
    )
    message = forms.CharField(
        label="Message (optional)",
        max_length=invitations.MAX_MESSAGE,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Shown in the invitation e-mail.",
    )


@require_http_methods(["GET", "POST"])
@flow_page
def show(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    if request.method == "GET":
        return _page(request, flow)
    _for_admins(request, flow)
    form = FlowForm(request.POST, instance=flow)
    if not form.is_valid():
        return _page(request, Flow.objects.select_related("organization").get(pk=flow.pk), form=form, status=400)
    flows.change(flow, **form.cleaned_data)
    messages.success(request, "The flow settings were saved.")
    return _to("flow-settings", flow)


@require_POST
@flow_page
def archive(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Archive the flow, or unarchive it with `archived=0`."""
    _for_admins(request, flow)
    if request.POST.get("archived") == "0":
        flows.unarchive(flow)
    else:
        flows.archive(flow)
    change = "was archived. Everyone can still read it; nobody can post." if flow.disabled else "was unarchived."
    messages.success(request, f"{flow.name} {change}")
    return _to("flow-settings", flow)


@require_POST
@flow_page
def renew_link(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Replace the invite link. The old one stops working."""
    _for_admins(request, flow)
    invite_links.renew(flow)
    messages.success(request, "The invite link was renewed. The old one no longer works.")
    return _to("flow-settings", flow)


@sensitive_variables("token")
@require_POST
@flow_page
def issue_token(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Create or replace the flow's Push API token. The old one stops working."""
    _for_admins(request, flow)
    if not form_keys.first_time(request):
        return _to("flow-settings", flow)
    token = flow.issue_api_token()
    return _page(request, flow, api_token=token)


@require_GET
@flow_page
def people(request: SignedInRequest, flow: Flow) -> HttpResponse:
    return _people_page(request, flow)


@require_POST
@flow_page
def invite(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    form = InvitationForm(request.POST)
    if flow.disabled:
        form.add_error(None, "This flow is archived, so you cannot invite anyone. Unarchive it first.")
    if not form.is_valid():
        return _people_page(request, flow, invitation_form=form, status=400)
    text, message = form.cleaned_data["emails"].replace("\x00", ""), form.cleaned_data["message"]
    try:
        outcome = invitations.import_addresses(flow, text, by=request.user, message=message)
    except invitations.TooMany:
        form.add_error("emails", f"Enter at most {invitations.MAX_IMPORTED} addresses at once.")
        return _people_page(request, flow, invitation_form=form, status=400)
    if outcome.invitations:
        invited = ", ".join(invitation.email for invitation in outcome.invitations)
        messages.success(request, f"Invitations sent to {invited}.")
    if outcome.added_users:
        messages.success(request, f"Added to {flow.name}: {', '.join(user.name for user in outcome.added_users)}.")
    if outcome.erroneous_emails:
        form = InvitationForm(initial={"emails": "\n".join(outcome.erroneous_emails), "message": message})
        return _people_page(request, flow, invitation_form=form, erroneous=_invalid_addresses(outcome), status=400)
    if not (outcome.invitations or outcome.added_users):
        messages.success(request, "Everyone on your list is already in this flow.")
    return _to("flow-people", flow)


def _invalid_addresses(outcome: invitations.Imported) -> str:
    invalid = list(outcome.erroneous_emails)
    named = ", ".join(invalid[:3]) + (f" and {len(invalid) - 3} more" if len(invalid) > 3 else "")
    is_partly_sent = outcome.invitations or outcome.added_users
    return f"Not valid: {named}.{' The others were invited.' if is_partly_sent else ''}"


@require_POST
@flow_page
def uninvite(request: SignedInRequest, flow: Flow, invitation_id: int) -> HttpResponseBase:
    """Cancel an invitation: for the person who sent it, and for admins."""
    invitation = flow.invitations.pending().filter(pk=invitation_id).first()
    if invitation is None:  # as after a second press of the button
        return _to("flow-people", flow)
    if invitation.invited_by_id != request.user.pk:
        _for_admins(request, flow)
    invitations.cancel(invitation, by=request.user)
    messages.success(request, f"The invitation for {invitation.email} was canceled.")
    return _to("flow-people", flow)


@require_POST
@flow_page
def add(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    """Add a member of the organization to the flow."""
    candidates = _candidates(request.user, flow)
    user = candidates.filter(pk=whole_number(request.POST.get("user", ""))).first()
    if user is None:
        raise Http404
    members.add(flow, user, by=request.user)
    messages.success(request, f"{user.name} was added to {flow.name}.")
    return _to("flow-people", flow)


@require_POST
@flow_page
def block(request: SignedInRequest, flow: Flow, user_id: int) -> HttpResponseBase:
    """Block a member, or unblock them with `blocked=0`."""
    membership = _other(request, flow, user_id)
    disabled = request.POST.get("blocked") != "0"
    if disabled:
        members.block(membership, by=request.user)
    else:
        members.unblock(membership)
    name = membership.user.name
    change = f"{name} was blocked and can no longer read or post here." if disabled else f"{name} was unblocked."
    messages.success(request, change)
    return _to("flow-people", flow)


@require_POST
@flow_page
def remove(request: SignedInRequest, flow: Flow, user_id: int) -> HttpResponseBase:
    """Remove a member from the flow. They stay in the organization."""
    membership = _other(request, flow, user_id)
    members.remove(membership)
    messages.success(request, f"{membership.user.name} was removed from {flow.name}.")
    return _to("flow-people", flow)


@require_POST
@flow_page
def leave(request: SignedInRequest, flow: Flow) -> HttpResponseBase:
    members.leave(flow.membership)
    messages.success(request, f"You left {flow.name}.")
    return redirect("flows")


def _other(request: SignedInRequest, flow: Flow, user_id: int) -> FlowMembership:
    """Another person's membership: admins cannot block or remove themselves."""
    _for_admins(request, flow)
    others = flow.memberships.exclude(user=request.user).select_related("user")
    return get_object_or_404(others, user_id=user_id)


def _for_admins(request: SignedInRequest, flow: Flow) -> None:
    if not organizations.is_admin(request.user, flow.organization):
        raise Http404


def _candidates(user: User, flow: Flow) -> Any:
    """Members of the organization who are not in the flow and whom `user` may see."""
    visible = organizations.members_visible_to(user, flow.organization).order_by().values("user")
    inside = flow.memberships.values("user")
    return User.objects.filter(pk__in=visible, is_active=True).exclude(pk__in=inside).order_by("name")


def _to(name: str, flow: Flow) -> HttpResponseBase:
    return redirect(name, flow.organization.parameterized_name, flow.parameterized_name)


def _page(
    request: SignedInRequest, flow: Flow, *, form: FlowForm | None = None, status: int = 200, **shown: Any
) -> HttpResponse:
    """Render the flow's settings. A token in `shown` is on this response only."""
    context = {
        "flow": flow,
        "tab": "flow",
        "form": form or FlowForm(instance=flow),
        "is_admin": organizations.is_admin(request.user, flow.organization),
        "join_url": invite_links.join_url(flow),
        "form_key": form_keys.form_key(),
        **shown,
    }
    return render(request, "flowdock_server/flow_settings.html", context, status=status)


def _people_page(
    request: SignedInRequest,
    flow: Flow,
    *,
    invitation_form: InvitationForm | None = None,
    status: int = 200,
    **shown: Any,
) -> HttpResponse:
    memberships = FlowMembership.objects.filter(flow=flow).select_related("user")
    context = {
        "flow": flow,
        "tab": "people",
        "memberships": memberships.order_by("disabled", "user__name"),
        "pending": flow.invitations.pending().select_related("invited_by"),
        "candidates": _candidates(request.user, flow),
        "invitation_form": invitation_form or InvitationForm(),
        "is_admin": organizations.is_admin(request.user, flow.organization),
        "join_url": invite_links.join_url(flow),
        **shown,
    }
    return render(request, "flowdock_server/flow_people.html", context, status=status)
