"""Signing up for an account and an organization, where SIGN_UP allows it. Otherwise people are invited."""

from django import forms
from django.conf import settings
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from flowdock_server.models import User
from flowdock_server.people import accounts
from flowdock_server.people.sign_in import sign_in

from .forms import Form


class SignUpForm(Form):
    name = forms.CharField(label="Your name", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        label="Choose a password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters.",
    )
    organization = forms.CharField(
        label="Your organization", max_length=100, help_text="The company or team that shares flows."
    )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        if User.objects.filter(email=email).exists():
            raise ValidationError("An account with this e-mail address already exists. Sign in instead.")
        return email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        user = User(email=self.cleaned_data.get("email", ""), name=self.cleaned_data.get("name", ""))
        password_validation.validate_password(password, user)
        return password


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponseBase:
    if not settings.SIGN_UP:
        raise Http404
    if request.user.is_authenticated:
        return redirect("home")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user, flow = accounts.sign_up(**form.cleaned_data)
        except IntegrityError:  # sent twice at once
            return redirect("sign-in")
        sign_in(request, user)
        return redirect("flow-people", flow.organization.parameterized_name, flow.parameterized_name)
    return render(request, "flowdock_server/sign_up.html", {"form": form}, status=400 if form.errors else 200)
