"""Signing up for an account and an organization, where SIGN_UP allows it. Otherwise people are invited."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from flowdock_server.models import Flow, Membership, Organization, User
from flowdock_server.parsing.slugs import RESERVED, parameterized
from flowdock_server.people import members
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
            user, flow = _create_account(form.cleaned_data)
        except IntegrityError:  # sent twice at once
            return redirect("sign-in")
        sign_in(request, user)
        return redirect("flow-people", flow.organization.parameterized_name, flow.parameterized_name)
    return render(request, "flowdock_server/sign_up.html", {"form": form}, status=400 if form.errors else 200)


@sensitive_variables("given")
@transaction.atomic
def _create_account(given: dict[str, Any]) -> tuple[User, Flow]:
    user = User.objects.create_user(given["email"], given["name"], given["password"])
    organization = _organization(given["organization"])
    Membership.objects.create(organization=organization, user=user, admin=True)
    flow = members.make_flow(organization, "Main", Flow.AccessMode.ORGANIZATION, by=user)
    return user, flow


def _organization(name: str) -> Organization:
    """Create the organization at the first free address: acme, acme-2."""
    address = parameterized(name)[:90] or "team"
    taken = set(
        Organization.objects.filter(parameterized_name__startswith=address).values_list("parameterized_name", flat=True)
    )
    free = (address if number == 1 else f"{address}-{number}" for number in range(1, len(taken) + 3))
    chosen = next(each for each in free if each not in taken | RESERVED)
    return Organization.objects.create(name=name, parameterized_name=chosen)
