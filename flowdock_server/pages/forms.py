"""The forms of profiles, applications, sources and tokens."""

import re
from typing import Any, cast
from urllib.parse import urlsplit

from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from flowdock_server.models import ApiToken, Application, Flow, User
from flowdock_server.models.applications import OUT_OF_BAND


class Form(forms.Form):
    """A form in the product's style; templates print it field by field, with the label above.

    A page can hold several forms with fields of the same name, so each form's fields have ids of their own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", f"{type(self).__name__.removesuffix('Form').lower()}_%s")
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", "input")


class TokenForm(Form):
    name = forms.CharField(
        label="Token name",
        max_length=ApiToken._meta.get_field("name").max_length,
        help_text="The script or tool that uses it.",
    )


class ProfileForm(Form, forms.ModelForm):  # type: ignore[type-arg]  # it has none when it runs
    # CharField: a browser's own check would refuse with its own words what `_web_address` explains.
    avatar = forms.CharField(
        label="Picture URL",
        max_length=2000,
        required=False,
        help_text="Optional. Shown only if this server allows pictures from other sites.",
    )
    website = forms.CharField(label="Website", max_length=2000, required=False, help_text="Optional.")

    class Meta:
        model = User
        fields = ["name", "nick", "avatar", "website"]
        labels = {"name": "Name", "nick": "Nickname"}
        help_texts = {
            "nick": "Your @name, no spaces.",
        }

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())

    def clean_nick(self) -> str:
        nick: str = self.cleaned_data["nick"].strip().removeprefix("@")
        # The same rule as in the API.
        if not re.fullmatch(r"[^\s@#,:]+", nick):
            raise ValidationError("Do not use spaces or any of @ # , :")
        return nick

    def clean_avatar(self) -> str:
        return _web_address(self.cleaned_data["avatar"])

    def clean_website(self) -> str:
        return _web_address(self.cleaned_data["website"])


class WithPassword(Form):
    """A form that asks for the password of `user` again."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def _check(self, password: str) -> str:
        if not self.user.check_password(password):
            raise ValidationError("The password is wrong.")
        return password


class EmailForm(WithPassword):
    email = forms.EmailField(
        label="New e-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def clean_password(self) -> str:
        return self._check(self.cleaned_data["password"])


class PasswordForm(WithPassword):
    old = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters.",
    )

    def clean_old(self) -> str:
        return self._check(self.cleaned_data["old"])

    def clean_new(self) -> str:
        password: str = self.cleaned_data["new"]
        password_validation.validate_password(password, self.user)
        return password

    def save(self) -> User:
        self.user.set_password(self.cleaned_data["new"])
        self.user.save(update_fields=["password"])
        return self.user


class FlowField(forms.ModelChoiceField):  # type: ignore[type-arg]  # it has none when it runs
    def label_from_instance(self, flow: Flow) -> str:
        return f"{flow.organization} / {flow}"


class SourceForm(Form):
    """A source created manually. `flow` is one of the person's flows."""

    flow = FlowField(Flow.objects.none(), empty_label=None)
    name = forms.CharField(
        label="Name", max_length=255, help_text="What it posts about: a repository, a project, a machine."
    )
    external_url = forms.CharField(label="URL", max_length=2000, required=False, help_text="Optional.")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(FlowField, self.fields["flow"]).queryset = Flow.objects.open_to(user).select_related("organization")

    def clean_external_url(self) -> str:
        return _web_address(self.cleaned_data["external_url"])


class ApplicationForm(Form, forms.ModelForm):  # type: ignore[type-arg]  # it has none when it runs
    class Meta:
        model = Application
        fields = ["name", "description", "icon", "redirect_uris", "setup_uri", "configuration_uri"]
        labels = {
            "name": "Name",
            "description": "Description",
            "icon": "Icon URL",
            "redirect_uris": "Redirect URI",
            "setup_uri": "Setup URI",
            "configuration_uri": "Configuration URI",
        }
        help_texts = {
            "name": "Shown on the consent page.",
            "description": "One sentence, shown where people add it to a flow.",
            "icon": "Optional. A square picture.",
            "redirect_uris": f"Must match exactly. An application without a web address uses {OUT_OF_BAND}.",
            "setup_uri": (
                "The page that “Add” opens. {flow_id} and {flow_url} are replaced; without them, ?flow= is appended."
            ),
            "configuration_uri": (
                "The page that “Configure” opens. {source_id}, {flow_id} and {source_url} are replaced;"
                " without them, ?integration_id= and flow= are appended."
            ),
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "redirect_uris": forms.TextInput,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = self.fields["redirect_uris"].required = True

    def clean_redirect_uris(self) -> str:
        address: str = self.cleaned_data["redirect_uris"].strip()
        if len(address.split()) > 1:
            raise ValidationError("Enter one URL, without spaces.")
        if address != OUT_OF_BAND:
            _web_address(address)
        return address

    def clean_setup_uri(self) -> str:
        return _address_pattern(self.cleaned_data["setup_uri"])

    def clean_configuration_uri(self) -> str:
        return _address_pattern(self.cleaned_data["configuration_uri"])

    def _post_clean(self) -> None:
        """Replace what the model's library says of a redirect URI, which is about fields and grant types."""
        refused = [str(error) for error in self.errors.get("redirect_uris", [])]
        super()._post_clean()  # type: ignore[misc]  # the stubs leave it out
        if "redirect_uris" in self.errors:
            sentences = refused or ["Enter a valid URL, without a fragment (#)."]
            self.errors["redirect_uris"] = self.error_class([*sentences])

    def clean_icon(self) -> str:
        address: str = self.cleaned_data["icon"].strip()
        return address if address.startswith("/static/") else _web_address(address)


def _address_pattern(address: str) -> str:
    """A web address, in which names in braces stand for what is filled in."""
    _web_address(address.replace("{", "").replace("}", ""))
    return address.strip()


def _web_address(address: str) -> str:
    address = address.strip()
    if not address:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise ValidationError("Enter a valid URL.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValidationError("The URL must begin with http:// or https://.")
    return address
