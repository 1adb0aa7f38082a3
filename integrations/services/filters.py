"""Filters that all services share: rules over the words of an event, each any of / none of, with a verdict in words.

Pure functions: the same code answers the live request, the rehearsal over past events and "why was this not posted?".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


class InvalidFilters(ValueError):
    """The filters are not of the shape that `clean` describes; the text says where."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A word that a rule knows: `value` as in the facts, `title` as people read it, `group` its heading."""

    value: str
    title: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One field of an event that people filter by.

    `noun` is how a verdict names one of its words: "label wontfix is excluded". With `choices` the rule is a set of
    boxes to check; without, people type words, and with `patterns` these may hold `*` and `?`. Words compare without
    regard to case.
    """

    name: str
    title: str
    noun: str
    hint: str = ""
    choices: tuple[Choice, ...] = ()
    patterns: bool = False

    def matches(self, wanted: str, word: str) -> bool:
        wanted, word = wanted.casefold(), word.casefold()
        # "[" is literal: names such as dependabot[bot] are no character classes.
        return wanted == word or (self.patterns and fnmatchcase(word, wanted.replace("[", "[[]")))

    def words(self, word: str) -> str:
        """`word` as a verdict says it: "label wontfix", "issue labelled"."""
        title = next((choice.title for choice in self.choices if choice.value.casefold() == word.casefold()), word)
        return f"{self.noun} {title}" if self.noun else f"{title[:1].lower()}{title[1:]}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an event passes. If not, `reason` says why in words and `rule` names the rule that refused it."""

    passes: bool
    reason: str = ""
    rule: str = ""


PASSES = Verdict(True)


def decide(rules: Iterable[Rule], filters: Mapping[str, Any], facts: Mapping[str, tuple[str, ...]]) -> Verdict:
    """The first rule that refuses, in the order of `rules`, decides.

    `filters` is {rule name: {"any_of": [word, ...], "none_of": [word, ...]}}; what is absent or empty lets everything
    through. A rule applies to events that have its fact: an issue has no branch, so no rule on branches refuses it.
    """
    for rule in rules:
        setting = filters.get(rule.name)
        words = facts.get(rule.name)
        if not setting or words is None:
            continue
        for wanted in setting.get("none_of", ()):
            hit = next((word for word in words if rule.matches(wanted, word)), None)
            if hit is not None:
                return Verdict(False, f"{rule.words(hit)} is excluded", rule.name)
        any_of = setting.get("any_of", ())
        if any_of and not any(rule.matches(wanted, word) for wanted in any_of for word in words):
            return Verdict(False, _missed(rule, words), rule.name)
    return PASSES


def _missed(rule: Rule, words: tuple[str, ...]) -> str:
    if not words:
        return f"it has no {rule.noun}, and only some are posted"
    if len(words) == 1 or rule.choices:
        return f"{rule.words(words[-1])} is not among those posted"
    return f"none of {', '.join(words)} is among the {rule.title.lower()} posted"


def clean(rules: Iterable[Rule], filters: object) -> dict[str, dict[str, list[str]]]:
    """`filters` in the shape that `decide` takes, empty parts left out. Raises InvalidFilters."""
    if not isinstance(filters, Mapping):
        raise InvalidFilters("filters are not an object")
    known = {rule.name: rule for rule in rules}
    cleaned: dict[str, dict[str, list[str]]] = {}
    for name, setting in filters.items():
        if name not in known:
            raise InvalidFilters(f"{name} is not a rule; rules are {', '.join(known)}")
        if not isinstance(setting, Mapping) or set(setting) - {"any_of", "none_of"}:
            raise InvalidFilters(f"{name} holds something else than any_of and none_of")
        parts = {part: _words(words, f"{name}.{part}") for part, words in setting.items()}
        if parts := {part: words for part, words in parts.items() if words}:
            cleaned[name] = parts
    return cleaned


def _words(words: object, path: str) -> list[str]:
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise InvalidFilters(f"{path} is not a list of texts")
    return list(dict.fromkeys(word.strip() for word in words if word.strip()))
