"""Forms for a poll, an option and a comment. Texts are cleaned before their length is checked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django import forms

from integrations.signals import Organization

from .models import (
    FEWEST_OPTIONS,
    LABEL_LENGTH,
    MOST_OPTIONS,
    NAME_LENGTH,
    QUESTION_LENGTH,
    TEXT_LENGTH,
    Category,
    name_problem,
)
from .texts import clean_line, clean_text, normalized


class OneLine(forms.CharField):
    def to_python(self, value: Any) -> str:
        return clean_line(super().to_python(value) or "")


class Lines(forms.CharField):
    """A text of several lines. A line end counts as one character, as in browsers."""

    def to_python(self, value: Any) -> str:
        return clean_text(super().to_python(value) or "")


class FormKey(forms.Field):
    """A hidden UUID that makes sending the same form twice harmless. An unreadable one counts as none."""

    def __init__(self) -> None:
        super().__init__(required=False)

    def to_python(self, value: Any) -> uuid.UUID | None:
        try:
            return uuid.UUID(str(value))
        except ValueError:
            return None


class PollForm(forms.Form):
    """A new poll. If `category` is empty, `new_category` is used, which may be the name of an existing one.

    `organizations` are the person's. A new category is created in the chosen one, or in the only one.
    """

    question = OneLine(max_length=QUESTION_LENGTH, error_messages={"required": "Enter a question."})
    description = Lines(max_length=TEXT_LENGTH, required=False)
    category = forms.ModelChoiceField(
        Category.objects.none(),
        required=False,
        empty_label="New category…",
        error_messages={"invalid_choice": "This category no longer exists. Choose another one."},
    )
    new_category = OneLine(max_length=NAME_LENGTH, required=False)
    organization = forms.ChoiceField(
        required=False,
        error_messages={"invalid_choice": "You are not a member of this organization. Choose another one."},
    )
    options = forms.CharField(required=False)
    several_answers = forms.BooleanField(required=False)
    form_key = FormKey()

    def __init__(self, *args: Any, organizations: Sequence[Organization], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        category, organization = self.fields["category"], self.fields["organization"]
        assert isinstance(category, forms.ModelChoiceField)  # noqa: S101  as they are declared above
        assert isinstance(organization, forms.ChoiceField)  # noqa: S101
        category.queryset = Category.objects.of(organizations)
        organization.choices = [(each.key, each.name) for each in organizations]

    def clean_organization(self) -> str:
        chosen: str = self.cleaned_data["organization"]
        field = self.fields["organization"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101
        (first, _), *others = field.choices  # type: ignore[misc]  # a list, as it was set
        if others and not chosen and not self.cleaned_data.get("category"):
            raise forms.ValidationError("Choose the organization of the new category.")
        return chosen or str(first)

    def clean_options(self) -> list[str]:
        labels = [label for line in self.cleaned_data["options"].splitlines() if (label := clean_line(line))]
        if len(labels) < FEWEST_OPTIONS:
            raise forms.ValidationError("Enter at least two options, one per line.")
        if len(labels) > MOST_OPTIONS:
            raise forms.ValidationError(f"You entered {len(labels)} options. A poll can have at most {MOST_OPTIONS}.")
        seen: set[str] = set()
        for label in labels:
            check_label(label)
            if normalized(label) in seen:
                raise forms.ValidationError(f"“{label}” is listed twice.")
            seen.add(normalized(label))
        return labels

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("category") or {"category", "new_category"} & self.errors.keys():
            return cleaned
        if not cleaned["new_category"]:
            self.add_error("new_category", "Enter a name for the category, or choose an existing one.")
        elif problem := name_problem(cleaned["new_category"]):
            self.add_error("new_category", problem)
        return cleaned

    @property
    def category_name(self) -> str:
        """The name of the chosen or new category of a valid form."""
        chosen: Category | None = self.cleaned_data["category"]
        return chosen.name if chosen else self.cleaned_data["new_category"]

    @property
    def organization_key(self) -> str:
        """The organization of the chosen or new category of a valid form."""
        chosen: Category | None = self.cleaned_data["category"]
        return chosen.organization if chosen else self.cleaned_data["organization"]


class OptionForm(forms.Form):
    label = OneLine(error_messages={"required": "Enter an option."})

    def clean_label(self) -> str:
        label: str = self.cleaned_data["label"]
        check_label(label)
        return label


class CommentForm(forms.Form):
    text = Lines(max_length=TEXT_LENGTH, error_messages={"required": "Enter a comment."})
    form_key = FormKey()


def check_label(label: str) -> None:
    if len(label) > LABEL_LENGTH:
        raise forms.ValidationError(
            f"“{label[:40]}…” is too long. An option can have at most {LABEL_LENGTH} characters."
        )
    if not normalized(label):
        raise forms.ValidationError("Each option must contain at least one visible character.")
