"""Joining a flow by an invitation or by the flow's invite link."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth import password_validation
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from flowdock_server.models import Flow, Invitation, User
from flowdock_server.people import invitations, invite_links
from flowdock_server.people.sign_in import sign_in

from .access import SignedInRequest
from .forms import Form


class NewAccountForm(Form):
    """A new account for the invited address. It needs no confirmation, since the invitation was mailed there."""

    name = forms.CharField(label="Your name", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label="Choose a password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters.",
    )

    def __init__(self, email: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password, User(email=self.email, name=self.cleaned_data.get("name", "")))
        return password


CANNOT_JOIN = (
    "The link was renewed, the flow is archived, or you are not in its organization."
    " Ask a member of the flow to invite you."
)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def accept(request: HttpRequest, token: str) -> HttpResponseBase:
    """Accept an invitation, as the signed-in user or with a new account for the invited address."""
    invitation = invitations.find(token)
    if invitation is None:
        return _cannot_join(request, "The invitation was accepted or canceled. Ask a member of the flow for a new one.")
    if request.user.is_authenticated:
        if request.method == "POST":
            invitations.accept(invitation, request.user)
            return _to_flow(request, invitation)
        return _page(request, invitation.flow, invitation=invitation)
    if User.objects.filter(email=invitation.email).exists():
        # They have an account: after signing in they come back here.
        return redirect(f"/login?next=/invitations/{token}")
    form = NewAccountForm(invitation.email, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = invitations.accept_with_new_account(
                invitation, form.cleaned_data["name"], form.cleaned_data["password"]
            )
        except IntegrityError:  # sent twice at once
            return redirect(request.path)
        sign_in(request, user)
        return _to_flow(request, invitation)
    return _page(request, invitation.flow, invitation=invitation, form=form, status=400 if form.errors else 200)


def _to_flow(request: HttpRequest, invitation: Invitation) -> HttpResponseBase:
    messages.success(request, f"Welcome to {invitation.flow.name}.")
    return redirect(invitation.flow)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def join(request: SignedInRequest, flow_id: UUID, key: str = "") -> HttpResponseBase:
    """Join a flow by its invite link, or as a member of its organization."""
    flow = get_object_or_404(Flow.objects.select_related("organization"), pk=flow_id)
    if Flow.objects.open_to(request.user).filter(pk=flow.pk).exists():
        return redirect(flow)
    if not invite_links.may_join(flow, request.user, key):
        return _cannot_join(
            request,
            CANNOT_JOIN,
        )
    if request.method == "POST":
        invite_links.join(flow, request.user)
        return redirect(flow)
    return _page(request, flow)


def _page(request: HttpRequest, flow: Flow, *, status: int = 200, **shown: Any) -> HttpResponse:
    return render(request, "flowdock_server/join.html", {"flow": flow, **shown}, status=status)


def _cannot_join(request: HttpRequest, sentence: str) -> HttpResponse:
    return render(request, "flowdock_server/join_closed.html", {"sentence": sentence}, status=404)
