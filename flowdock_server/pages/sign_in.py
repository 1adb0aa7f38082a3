"""Signing in, and the list of flows."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from flowdock_server.models import Flow, User
from flowdock_server.people import demo_accounts
from flowdock_server.people.sign_in import TooManyAttempts

from .access import SignedInRequest


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "The e-mail address or the password is wrong.",
        "inactive": "This account has been closed.",
    }
    retry_after = 0  # seconds, after too many failed attempts
    username = forms.CharField(
        label="E-mail address",
        widget=forms.EmailInput(attrs={"class": "input", "autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "input", "autocomplete": "current-password"}),
    )

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except TooManyAttempts as error:
            self.retry_after = error.retry_after
            raise forms.ValidationError(str(error)) from error


class SignIn(LoginView):
    authentication_form = SignInForm
    template_name = "flowdock_server/sign_in.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        if isinstance(form, SignInForm) and form.retry_after:
            response.status_code = 429
            response["Retry-After"] = str(form.retry_after)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs) | {"sign_up": settings.SIGN_UP}
        if settings.DEMO:
            offered = User.objects.filter(email__in=demo_accounts.ACCOUNTS, is_active=True)
            context["demo_accounts"] = offered.order_by("pk")
            context["demo_password"] = demo_accounts.PASSWORD
        return context


@never_cache
@login_required
def home(request: SignedInRequest) -> HttpResponse:
    """Redirect to the user's only flow, or to the list of flows."""
    opened = Flow.objects.open_to(request.user).select_related("organization")[:2]
    return redirect(opened[0]) if len(opened) == 1 else redirect("flows")


@never_cache
@login_required
def flows(request: SignedInRequest) -> HttpResponse:
    opened = Flow.objects.open_to(request.user).select_related("organization")
    return render(request, "flowdock_server/flows.html", {"flows": opened, "section": "flows"})
