"""What people fill in about themselves, applications, sources and tokens."""

import re
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from flowdock_server.models import ApiToken, Application, Flow, User
from flowdock_server.models.applications import OUT_OF_BAND


class Form(forms.Form):
    """Fields with the look of the product. The label stands above; templates print field by field.

    Pages hold several forms, and two may have a field of one name: each form's fields have ids of their own, so that
    a label leads to its own field.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", f"{type(self).__name__.removesuffix('Form').lower()}_%s")
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", "input")


class TokenForm(Form):
    name = forms.CharField(label="What is it for?", max_length=ApiToken._meta.get_field("name").max_length)


class ProfileForm(Form, forms.ModelForm):
    # Plain texts: a browser's own check would refuse what `_web_address` explains.
    avatar = forms.CharField(
        label="Address of your picture",
        max_length=2000,
        required=False,
        help_text="It is shown where this server loads pictures from elsewhere. Optional.",
    )
    website = forms.CharField(label="Website", max_length=2000, required=False, help_text="Optional.")

    class Meta:
        model = User
        fields = ["name", "nick", "avatar", "website"]
        labels = {"name": "Name", "nick": "Nick"}
        help_texts = {
            "nick": "How others mention you: @ and this, without blanks.",
        }

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())

    def clean_nick(self) -> str:
        nick = self.cleaned_data["nick"].strip().removeprefix("@")
        # As the API has it.
        if not re.fullmatch(r"[^\s@#,:]+", nick):
            raise ValidationError("No blank, and none of @ # , :")
        return nick

    def clean_avatar(self) -> str:
        return _web_address(self.cleaned_data["avatar"])

    def clean_website(self) -> str:
        return _web_address(self.cleaned_data["website"])


class WithPassword(Form):
    """Asks for the password of `user` again."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def _check(self, password: str) -> str:
        if not self.user.check_password(password):
            raise ValidationError("This is not your password.")
        return password


class EmailForm(WithPassword):
    email = forms.EmailField(
        label="New e-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        label="Your password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def clean_password(self) -> str:
        return self._check(self.cleaned_data["password"])


class PasswordForm(WithPassword):
    old = forms.CharField(
        label="Your password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least ten characters.",
    )

    def clean_old(self) -> str:
        return self._check(self.cleaned_data["old"])

    def clean_new(self) -> str:
        password_validation.validate_password(self.cleaned_data["new"], self.user)
        return self.cleaned_data["new"]

    def save(self) -> User:
        self.user.set_password(self.cleaned_data["new"])
        self.user.save(update_fields=["password"])
        return self.user


class SourceForm(Form):
    """A source made by hand. `flow` is one of those that the person is in."""

    flow = forms.ModelChoiceField(Flow.objects.none(), empty_label=None)
    name = forms.CharField(
        label="Name", max_length=255, help_text="What it stands for: a repository, a project, a machine."
    )
    external_url = forms.CharField(label="Its address", max_length=2000, required=False, help_text="Optional.")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["flow"]
        field.queryset = Flow.objects.open_to(user).select_related("organization")
        field.label_from_instance = lambda flow: f"{flow.organization} / {flow}"

    def clean_external_url(self) -> str:
        return _web_address(self.cleaned_data["external_url"])


class ApplicationForm(Form, forms.ModelForm):
    class Meta:
        model = Application
        fields = ["name", "description", "icon", "redirect_uris", "setup_uri", "configuration_uri"]
        labels = {
            "name": "Name",
            "description": "What it does",
            "icon": "Address of its icon",
            "redirect_uris": "Redirect URI",
            "setup_uri": "Set-up URI",
            "configuration_uri": "Configuration URI",
        }
        help_texts = {
            "name": "Shown to everybody whom it asks for consent.",
            "description": "One sentence, shown beside “Add”.",
            "icon": "A square picture. Optional.",
            "redirect_uris": f"Compared letter by letter. An application without a web address uses {OUT_OF_BAND}.",
            "setup_uri": "Where “Add” leads. {flow_id} and {flow_url} are filled in; else ?flow= is appended.",
            "configuration_uri": (
                "Where “Configure” leads. {source_id}, {flow_id} and {source_url} are filled in;"
                " else ?integration_id= and flow= are appended."
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
        address = self.cleaned_data["redirect_uris"].strip()
        if len(address.split()) > 1:
            raise ValidationError("One address, and no blank in it.")
        if address != OUT_OF_BAND:
            _web_address(address)
        return address

    def clean_icon(self) -> str:
        address = self.cleaned_data["icon"].strip()
        return address if address.startswith("/static/") else _web_address(address)


def _web_address(address: str) -> str:
    address = address.strip()
    if not address:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise ValidationError("This is no address that a browser understands.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValidationError("It begins with http:// or https://.")
    return address
