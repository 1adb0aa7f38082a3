"""The forms: which origin to connect to a flow, and which of its events to post."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.http import QueryDict

from . import services
from .models import Origin
from .services.base import InvalidOrigin, OfferedOrigin, Preset, Service
from .services.filters import Choice, Rule, clean

MAX_WORDS = 200
MAX_WORD_LENGTH = 255


class SetupForm(forms.Form):
    """Service, origin and preset. All of it is in the address, so that reloading and going back lose nothing.

    `reuse` is the name of an origin that the person has connected before; `origin`, if filled in, takes precedence.
    `organization` is that of the flow: own apps offer each organization its own origins. If the form is valid, `chosen`
    is the origin.
    """

    service = forms.ChoiceField(choices=services.choices, error_messages={"required": "Choose a service."})
    reuse = forms.CharField(required=False, max_length=255)
    origin = forms.CharField(required=False, max_length=500)
    preset = forms.CharField(required=False, max_length=40)

    chosen = OfferedOrigin("")

    def __init__(self, data: QueryDict, organization: str) -> None:
        super().__init__(data)
        self.organization = organization

    @property
    def name(self) -> str:
        return self.chosen.name

    @property
    def external_url(self) -> str:
        return self.chosen.external_url

    @property
    def typed(self) -> str:
        return str(self.data.get("origin", "")).strip()

    @property
    def reused(self) -> str:
        return str(self.data.get("reuse", ""))

    @property
    def chosen_service(self) -> Service:
        """The chosen service, or the first one if none is chosen."""
        first, *_ = services.SERVICES.values()
        return services.SERVICES.get(self.data.get("service", ""), first)

    @property
    def chosen_preset(self) -> Preset:
        presets = self.chosen_service.presets
        return next((preset for preset in presets if preset.name == self.data.get("preset")), presets[0])

    @property
    def filters(self) -> dict[str, dict[str, list[str]]]:
        return clean(self.chosen_service.rules, self.chosen_preset.filters)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "service" in cleaned and not self.errors:
            try:
                self.chosen = self._origin(cleaned["origin"], cleaned["reuse"])
            except InvalidOrigin as error:
                self.add_error("origin", str(error))
        return cleaned

    def _origin(self, typed: str, reused: str) -> OfferedOrigin:
        """The origin. A name alone may not be enough: a GitHub organization is found by its address."""
        service = self.chosen_service
        if not typed and (known := Origin.objects.named(service.name, reused).first()):
            return service.find_origin(known.external_url or known.name, self.organization)
        return service.find_origin(typed or reused, self.organization)


@dataclass(frozen=True, slots=True)
class Box:
    value: str
    title: str
    checked: bool


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    boxes: list[Box]


@dataclass(frozen=True, slots=True)
class Line:
    """A rule as the page shows it: check boxes in groups if it has choices, else two lists of words."""

    rule: Rule
    groups: list[Group]
    any_of: list[str]
    none_of: list[str]


class FiltersForm:
    """The filters of an integration as check boxes and words, and back.

    In a rule with choices, the checked boxes are what is posted, and the others are saved under "none_of": so a kind of
    event that is added to the service later is posted. A rule that was not changed is saved unchanged.
    """

    def __init__(self, rules: Iterable[Rule], filters: Mapping[str, Any]) -> None:
        self.rules = tuple(rules)
        self.filters = filters
        self.errors: dict[str, str] = {}

    @property
    def lines(self) -> list[Line]:
        return [
            Line(rule, self._groups(rule), self._words(rule, "any_of"), self._words(rule, "none_of"))
            for rule in self.rules
        ]

    def read(self, data: QueryDict) -> dict[str, dict[str, list[str]]]:
        """The submitted filters. `errors` has the rules that cannot be saved, with the reason."""
        present = data.getlist("rules")
        filled = {
            rule.name: self._chosen(rule, data) if rule.choices else self._typed(rule, data)
            for rule in self.rules
            if rule.name in present
        }
        kept = {
            rule.name: self.filters[rule.name]
            for rule in self.rules
            if rule.name not in filled and rule.name in self.filters
        }
        return clean(self.rules, kept | filled)

    def _words(self, rule: Rule, part: str) -> list[str]:
        return list(self.filters.get(rule.name, {}).get(part, ()))

    def _groups(self, rule: Rule) -> list[Group]:
        checked = self._checked(rule)
        return [
            Group(title, [Box(choice.value, choice.title, choice.value in checked) for choice in choices])
            for title, choices in groupby(rule.choices, key=lambda choice: choice.group)
        ]

    def _checked(self, rule: Rule) -> set[str]:
        """The values of the choices that pass the saved filters."""
        any_of, none_of = self._words(rule, "any_of"), self._words(rule, "none_of")

        def passes(choice: Choice) -> bool:
            wanted = not any_of or any(rule.matches(word, choice.value) for word in any_of)
            return wanted and not any(rule.matches(word, choice.value) for word in none_of)

        return {choice.value for choice in rule.choices if passes(choice)}

    def _chosen(self, rule: Rule, data: QueryDict) -> Mapping[str, list[str]]:
        values = {choice.value for choice in rule.choices}
        chosen = values & set(data.getlist(rule.name))
        if chosen == self._checked(rule):
            saved: Mapping[str, list[str]] = self.filters.get(rule.name, {})
            return saved
        unknown = [word for word in self._words(rule, "none_of") if word not in values]
        return {"none_of": [choice.value for choice in rule.choices if choice.value not in chosen] + unknown}

    def _typed(self, rule: Rule, data: QueryDict) -> dict[str, list[str]]:
        parts = {
            part: data.getlist(f"{rule.name}.{part}") + split_words(data.get(f"{rule.name}.{part}.new", ""))
            for part in ("any_of", "none_of")
        }
        words = [word for part in parts.values() for word in part]
        if len(words) > MAX_WORDS:
            self.errors[rule.name] = (
                f"Enter at most {MAX_WORDS} values. Where a rule allows it, * matches several at once."
            )
        elif any(len(word) > MAX_WORD_LENGTH for word in words):
            self.errors[rule.name] = f"Each value can have at most {MAX_WORD_LENGTH} characters."
        return parts


def split_words(text: str) -> list[str]:
    """The typed words, separated by commas and line breaks. Quotes keep a comma: "good, first issue", bug."""
    try:
        rows = list(csv.reader(text.splitlines(), skipinitialspace=True))
    except csv.Error:
        return [word for line in text.splitlines() for word in line.split(",")]
    return [word for row in rows for word in row]
