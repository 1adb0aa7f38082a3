"""What people fill in: a poll, an option, a comment. Texts are put in order before they are measured."""

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
    """A text of several lines. A line's end is one character, as browsers count it too."""

    def to_python(self, value: Any) -> str:
        return clean_text(super().to_python(value) or "")


class FormKey(forms.Field):
    """The form's own mark, by which it is obeyed once: a UUID. One that cannot be read is none."""

    def __init__(self) -> None:
        super().__init__(required=False)

    def to_python(self, value: Any) -> uuid.UUID | None:
        try:
            return uuid.UUID(str(value))
        except ValueError:
            return None


class PollForm(forms.Form):
    """A new poll. With an empty `category`, `new_category` names it; one of that name may exist already.

    `organizations` are the person's; a new category is made in the one that is chosen, which need not be said where
    there is one only.
    """

    question = OneLine(max_length=QUESTION_LENGTH, error_messages={"required": "Ask something."})
    description = Lines(max_length=TEXT_LENGTH, required=False)
    category = forms.ModelChoiceField(
        Category.objects.none(),
        required=False,
        empty_label="A new category…",
        error_messages={"invalid_choice": "There is no such category any more. Choose another."},
    )
    new_category = OneLine(max_length=NAME_LENGTH, required=False)
    organization = forms.ChoiceField(
        required=False, error_messages={"invalid_choice": "You are not in this organization. Choose another."}
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
            raise forms.ValidationError("Choose whose category it is.")
        return chosen or str(first)

    def clean_options(self) -> list[str]:
        labels = [label for line in self.cleaned_data["options"].splitlines() if (label := clean_line(line))]
        if len(labels) < FEWEST_OPTIONS:
            raise forms.ValidationError("Give at least two options, each on a line of its own.")
        if len(labels) > MOST_OPTIONS:
            raise forms.ValidationError(f"These are {len(labels)} options; a poll has at most {MOST_OPTIONS}.")
        seen: set[str] = set()
        for label in labels:
            check_label(label)
            if normalized(label) in seen:
                raise forms.ValidationError(f"“{label}” is there twice.")
            seen.add(normalized(label))
        return labels

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("category") or {"category", "new_category"} & self.errors.keys():
            return cleaned
        if not cleaned["new_category"]:
            self.add_error("new_category", "Name the category, or choose one that is there.")
        elif problem := name_problem(cleaned["new_category"]):
            self.add_error("new_category", problem)
        return cleaned

    @property
    def category_name(self) -> str:
        """The name of the category, chosen or new. Only once valid."""
        chosen: Category | None = self.cleaned_data["category"]
        return chosen.name if chosen else self.cleaned_data["new_category"]

    @property
    def organization_key(self) -> str:
        """The organization of the category, chosen or new. Only once valid."""
        chosen: Category | None = self.cleaned_data["category"]
        return chosen.organization if chosen else self.cleaned_data["organization"]


class OptionForm(forms.Form):
    label = OneLine(error_messages={"required": "Name the option."})

    def clean_label(self) -> str:
        label: str = self.cleaned_data["label"]
        check_label(label)
        return label


class CommentForm(forms.Form):
    text = Lines(max_length=TEXT_LENGTH, error_messages={"required": "Write something first."})
    form_key = FormKey()


def check_label(label: str) -> None:
    if len(label) > LABEL_LENGTH:
        raise forms.ValidationError(f"“{label[:40]}…” is longer than {LABEL_LENGTH} characters.")
    if not normalized(label):
        raise forms.ValidationError("An option has no sign that can be seen.")
