"""The account page: profile, e-mail address, password, API tokens and authorized applications."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flowdock_server.models import ApiToken, Application, User
from flowdock_server.oauth import grants
from flowdock_server.oauth.scopes import Scope, described
from flowdock_server.pages import form_keys
from flowdock_server.people import email_changes

from .access import SignedInRequest
from .forms import EmailForm, PasswordForm, ProfileForm, TokenForm


@never_cache
@login_required
@require_GET
def show(request: SignedInRequest) -> HttpResponse:
    return _page(request)


@never_cache
@login_required
@require_POST
def change_profile(request: SignedInRequest) -> HttpResponseBase:
    """Save the user's name, nickname, picture and website."""
    form = ProfileForm(request.POST, instance=_stored_user(request))
    if not form.is_valid():
        return _page(request, profile_form=form, status=400)
    form.save()
    messages.success(request, "Your profile was saved.")
    return redirect("account")


@sensitive_post_parameters("password")
@never_cache
@login_required
@require_POST
def change_email(request: SignedInRequest) -> HttpResponseBase:
    """Request another e-mail address. Asks for the password, since somebody may have found an open browser."""
    form = EmailForm(_stored_user(request), request.POST)
    if form.is_valid():
        try:
            email_changes.request(form.user, form.cleaned_data["email"])
        except email_changes.AddressTaken:
            form.add_error("email", "Another account uses this e-mail address.")
        except email_changes.MailNotSent:
            form.add_error("email", "The e-mail could not be sent, so your address was not changed. Try again later.")
    if not form.is_valid():
        return _page(request, email_form=form, status=400)
    messages.success(request, f"Open the link that was sent to {form.cleaned_data['email']} to confirm the address.")
    return redirect("account")


@login_required
@require_POST
def cancel_email(request: SignedInRequest) -> HttpResponseBase:
    email_changes.cancel(request.user)
    messages.success(request, "The change was canceled. Your e-mail address stays the same.")
    return redirect("account")


@never_cache
@require_http_methods(["GET", "POST"])
def confirm_email(request: SignedInRequest, token: str) -> HttpResponseBase:
    """Confirm the new address, from the link in the mail. It needs no sign-in: whoever reads the mail owns the address.

    Only POST confirms it: mail servers open links to look for viruses.
    """
    change = email_changes.find(token)
    problem = "It was already used or canceled, or it is older than 24 hours. You can request the change again."
    if change and request.method == "POST":
        try:
            is_confirmed = email_changes.confirm(change)
        except email_changes.AddressTaken:
            change, problem = None, "Another account uses this e-mail address now."
        else:
            if is_confirmed:
                messages.success(request, f"Your e-mail address was changed. Sign in with {change.email} from now on.")
                return redirect("account")
            change = None
    context = {"change": change, "problem": problem}
    return render(request, "flowdock_server/confirm_email.html", context, status=200 if change else 404)


@sensitive_post_parameters()
@never_cache
@login_required
@require_POST
def change_password(request: SignedInRequest) -> HttpResponseBase:
    """Set a new password, and sign the user out in all other browsers."""
    form = PasswordForm(_stored_user(request), request.POST)
    if not form.is_valid():
        return _page(request, password_form=form, status=400)
    update_session_auth_hash(request, form.save())
    email_changes.cancel(request.user)
    messages.success(request, "Your password was changed. You were signed out in all other browsers.")
    return redirect("account")


@login_required
@require_POST
def sign_out_everywhere(request: SignedInRequest) -> HttpResponseBase:
    """End all sessions of the user, this one included."""
    _stored_user(request).end_sessions()
    logout(request)
    return redirect("sign-in")


def _stored_user(request: SignedInRequest) -> User:
    """The user as stored, which the page shows also when a form was refused."""
    return User.objects.get(pk=request.user.pk)


@sensitive_variables("secret")
@never_cache
@login_required
@require_POST
def issue_token(request: SignedInRequest) -> HttpResponseBase:
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, form=form, status=400)
    if not form_keys.first_time(request):
        return redirect("account")
    token, secret = ApiToken.issue(request.user, form.cleaned_data["name"])
    return _page(request, new_token=token, secret=secret)


@login_required
@require_POST
def revoke_token(request: SignedInRequest, token_id: int) -> HttpResponseBase:
    token = ApiToken.objects.filter(user=request.user, pk=token_id).first()
    if token:
        token.revoke()
        messages.success(request, f"The token “{token.name}” was revoked and no longer works.")
    return redirect("account")


@login_required
@require_POST
def revoke_application(request: SignedInRequest, application_id: int) -> HttpResponseBase:
    """End the application's access to the user's account. Sources that it connected keep posting."""
    application = Application.objects.filter(pk=application_id).first()
    if application and grants.revoke(request.user, application):
        messages.success(request, f"{application.name} was revoked and can no longer act for you.")
    return redirect("account")


@dataclass(frozen=True)
class Authorized:
    """An application that can act for the user: since when, and with which scopes."""

    application: Application
    since: datetime
    scopes: list[Scope]


def _authorized(user: Any) -> list[Authorized]:
    tokens = grants.valid_tokens(user).select_related("application").order_by("application__name", "created")
    by_application = [list(group) for _, group in groupby(tokens, key=lambda token: token.application)]
    return [
        Authorized(
            application=group[0].application,
            since=group[0].created,
            scopes=described([scope for token in group for scope in token.scope.split()]),
        )
        for group in by_application
    ]


def _page(request: SignedInRequest, *, form: TokenForm | None = None, status: int = 200, **shown: Any) -> HttpResponse:
    """Render the account page. A secret in `shown` is on this response only."""
    context = {
        "form": form or TokenForm(),
        "profile_form": ProfileForm(instance=_stored_user(request)),
        "email_form": EmailForm(request.user),
        "email_change": email_changes.pending(request.user),
        "password_form": PasswordForm(request.user),
        "tokens": ApiToken.objects.filter(user=request.user),
        "authorized": _authorized(request.user),
        "form_key": form_keys.form_key(),
        "section": "account",
        **shown,
    }
    return render(request, "flowdock_server/account.html", context, status=status)
