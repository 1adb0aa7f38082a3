"""Filters that all services share: rules over the facts of an event, and a verdict with its reason.

Pure functions: the same code decides live requests, previews filters over past events and explains why an event was
not posted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


class InvalidFilters(ValueError):
    """The filters do not have the shape that `decide` takes; the text says where."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that a rule offers: `value` as in the facts, `title` as people read it, `group` its heading."""

    value: str
    title: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One property of an event that people filter by.

    `noun` names a value in a verdict: "label wontfix is excluded". With `choices` the rule is a list of check boxes;
    without, people type values, which may contain `*` and `?` if `patterns` is set. Values are compared ignoring case.
    """

    name: str
    title: str
    noun: str
    hint: str = ""
    choices: tuple[Choice, ...] = ()
    patterns: bool = False

    def matches(self, wanted: str, value: str) -> bool:
        wanted, value = wanted.casefold(), value.casefold()
        # "[" is literal: the brackets of dependabot[bot] are not a character class.
        return wanted == value or (self.patterns and fnmatchcase(value, wanted.replace("[", "[[]")))

    def describe(self, value: str) -> str:
        """`value` as a verdict names it: "label wontfix", "issue labeled"."""
        title = next((choice.title for choice in self.choices if choice.value.casefold() == value.casefold()), value)
        return f"{self.noun} {title}" if self.noun else f"{title[:1].lower()}{title[1:]}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an event passes. If not, `reason` says why and `rule` names the rule that blocked it."""

    passes: bool
    reason: str = ""
    rule: str = ""


PASSES = Verdict(True)


def decide(rules: Iterable[Rule], filters: Mapping[str, Any], facts: Mapping[str, tuple[str, ...]]) -> Verdict:
    """Decide whether an event with these `facts` passes. The first rule that blocks it, in order, gives the reason.

    `filters` is {rule name: {"any_of": [value, ...], "none_of": [value, ...]}}; absent or empty parts let everything
    through. A rule applies only to events that have its fact: an issue has no branch, so branch rules never block it.
    """
    for rule in rules:
        setting = filters.get(rule.name)
        values = facts.get(rule.name)
        if not setting or values is None:
            continue
        for unwanted in setting.get("none_of", ()):
            hit = next((value for value in values if rule.matches(unwanted, value)), None)
            if hit is not None:
                return Verdict(False, f"{rule.describe(hit)} is excluded", rule.name)
        any_of = setting.get("any_of", ())
        if any_of and not any(rule.matches(wanted, value) for wanted in any_of for value in values):
            return Verdict(False, _not_included(rule, values), rule.name)
    return PASSES


def _not_included(rule: Rule, values: tuple[str, ...]) -> str:
    if not values:
        return f"it has no {rule.noun}, and the filter requires one"
    if len(values) == 1 or rule.choices:
        return f"{rule.describe(values[-1])} is not included"
    return f"its {rule.title.lower()} {', '.join(values)} are not included"


def clean(rules: Iterable[Rule], filters: object) -> dict[str, dict[str, list[str]]]:
    """`filters` in the shape that `decide` takes, without empty parts. Raises InvalidFilters."""
    if not isinstance(filters, Mapping):
        raise InvalidFilters("the filters are not an object")
    known = {rule.name: rule for rule in rules}
    cleaned: dict[str, dict[str, list[str]]] = {}
    for name, setting in filters.items():
        if name not in known:
            raise InvalidFilters(f"{name} is not a rule; the rules are {', '.join(known)}")
        if not isinstance(setting, Mapping) or set(setting) - {"any_of", "none_of"}:
            raise InvalidFilters(f"{name} may contain only any_of and none_of")
        parts = {part: _values(values, f"{name}.{part}") for part, values in setting.items()}
        if parts := {part: values for part, values in parts.items() if values}:
            cleaned[name] = parts
    return cleaned


def _values(values: object, path: str) -> list[str]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise InvalidFilters(f"{path} is not a list of strings")
    return list(dict.fromkeys(value.strip() for value in values if value.strip()))
