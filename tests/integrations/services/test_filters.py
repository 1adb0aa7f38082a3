"""Filters: which events pass, and the reasons why others do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.services.code_hosts import BOTS, authors, branches, drafts, labels
from integrations.services.filters import Choice, InvalidFilters, Rule, clean, decide

EVENTS = Rule(
    "events",
    "Events",
    "",
    choices=(Choice("issues.opened", "Issue opened", "Issues"), Choice("issues.labeled", "Issue labeled", "Issues")),
)
RULES = (EVENTS, branches("pull request"), labels("issue"), authors("login"), BOTS, drafts("pull request"))

ISSUE = {"events": ("issues.labeled",), "labels": ("bug", "wontfix"), "authors": ("lea-cohen",), "bots": ("person",)}
BARE = {"events": ("issues.opened",), "labels": (), "authors": ("dependabot[bot]",), "bots": ("bot",)}
PUSH = {"events": ("push",), "branches": ("feature/x",), "authors": ("lea-cohen",)}
RELEASE = {"events": ("push",), "branches": ("release/2.4",), "authors": ("lea-cohen",)}
COMMIT = {"events": ("status.failed",), "branches": ("feature/x", "feature/y")}
DRAFT = {"events": ("pull_request.opened",), "drafts": ("draft",)}

REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (ISSUE, {"events": {"none_of": ["issues.labeled"]}}, "issue labeled is excluded"),
    (ISSUE, {"events": {"any_of": ["issues.opened"]}}, "issue labeled is not included"),
    (ISSUE, {"labels": {"none_of": ["wontfix"]}}, "label wontfix is excluded"),
    (ISSUE, {"labels": {"none_of": ["WontFix"]}}, "label wontfix is excluded"),
    (ISSUE, {"labels": {"none_of": ["wont*"]}}, "label wontfix is excluded"),
    (ISSUE, {"labels": {"any_of": ["feature"]}}, "its labels bug, wontfix are not included"),
    (BARE, {"labels": {"any_of": ["feature"]}}, "it has no label, and the filter requires one"),
    (BARE, {"authors": {"none_of": ["dependabot[bot]"]}}, "author dependabot[bot] is excluded"),
    (BARE, {"authors": {"none_of": ["dependabot"]}}, "author dependabot[bot] is excluded"),
    (BARE, {"authors": {"any_of": ["lea-cohen"]}}, "author dependabot[bot] is not included"),
    (BARE, {"bots": {"none_of": ["bot"]}}, "work by a bot is excluded"),
    (PUSH, {"branches": {"any_of": ["main", "release/*"]}}, "branch feature/x is not included"),
    (PUSH, {"branches": {"none_of": ["feature/*"]}}, "branch feature/x is excluded"),
    (COMMIT, {"branches": {"any_of": ["main"]}}, "its branches feature/x, feature/y are not included"),
    (DRAFT, {"drafts": {"none_of": ["draft"]}}, "draft pull request is excluded"),
    # An exclusion outweighs an inclusion.
    (ISSUE, {"labels": {"any_of": ["bug"], "none_of": ["wontfix"]}}, "label wontfix is excluded"),
]


@pytest.mark.parametrize(("facts", "filters", "reason"), REFUSED)
def test_a_blocked_event_has_a_reason(facts: dict[str, Any], filters: dict[str, Any], reason: str) -> None:
    verdict = decide(RULES, filters, facts)

    assert not verdict.passes
    assert verdict.reason == reason
    assert verdict.rule == next(iter(filters))


PASSING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (ISSUE, {}),
    (ISSUE, {"labels": {"any_of": ["bug"]}}),
    (ISSUE, {"labels": {"any_of": [], "none_of": []}}),
    (RELEASE, {"branches": {"any_of": ["main", "release/*"]}}),
    # It has no branch and is not a draft, so these rules do not apply.
    (ISSUE, {"branches": {"any_of": ["main"]}, "drafts": {"any_of": ["ready"]}}),
    # A bot's full name does not match a person, and brackets are not a pattern.
    ({"authors": ("dependabot",)}, {"authors": {"none_of": ["dependabot[bot]"]}}),
    ({"authors": ("dependabotb",)}, {"authors": {"none_of": ["dependabot[bot]"]}}),
]


@pytest.mark.parametrize(("facts", "filters"), PASSING)
def test_an_event_passes(facts: dict[str, Any], filters: dict[str, Any]) -> None:
    assert decide(RULES, filters, facts).passes


BROKEN: list[tuple[Any, str]] = [
    ([], "the filters are not an object"),
    ({"labels": ["bug"]}, "labels may contain only any_of and none_of"),
    ({"labels": {"some_of": ["bug"]}}, "labels may contain only any_of and none_of"),
    ({"labels": {"any_of": "bug"}}, "labels.any_of is not a list of strings"),
    ({"labels": {"any_of": [1]}}, "labels.any_of is not a list of strings"),
    ({"colors": {"any_of": ["red"]}}, "colors is not a rule"),
]


@pytest.mark.parametrize(("filters", "words"), BROKEN)
def test_filters_of_a_wrong_shape_are_rejected(filters: Any, words: str) -> None:
    with pytest.raises(InvalidFilters, match=words):
        clean(RULES, filters)


def test_cleaning_removes_spaces_empty_values_and_duplicates() -> None:
    cleaned = clean(RULES, {"labels": {"any_of": [" bug ", "bug", ""], "none_of": []}, "authors": {"any_of": []}})

    assert cleaned == {"labels": {"any_of": ["bug"]}}


words = st.lists(st.text(max_size=6), max_size=4)
facts = st.dictionaries(st.sampled_from([rule.name for rule in RULES]), words.map(tuple))
filters = st.dictionaries(
    st.sampled_from([rule.name for rule in RULES]),
    st.fixed_dictionaries({}, optional={"any_of": words, "none_of": words}),
)


@given(filters, facts)
def test_only_a_blocked_event_has_a_reason_and_a_rule(wanted: Any, facts: Any) -> None:
    verdict = decide(RULES, clean(RULES, wanted), facts)

    assert bool(verdict.reason) == bool(verdict.rule) == (not verdict.passes)


@given(filters, facts)
def test_cleaning_is_idempotent_and_changes_no_verdict(wanted: Any, facts: Any) -> None:
    spaced = {
        rule: {part: [w.strip() for w in ws if w.strip()] for part, ws in s.items()} for rule, s in wanted.items()
    }
    cleaned = clean(RULES, wanted)

    assert clean(RULES, cleaned) == cleaned
    assert decide(RULES, cleaned, facts) == decide(RULES, spaced, facts)


@given(filters, facts, st.sampled_from([rule.name for rule in RULES]), st.text(min_size=1, max_size=6))
def test_another_exclusion_never_lets_more_events_pass(wanted: Any, facts: Any, rule: str, word: str) -> None:
    setting = wanted.get(rule, {})
    stricter = {**wanted, rule: {**setting, "none_of": [*setting.get("none_of", []), word]}}

    assert decide(RULES, wanted, facts).passes or not decide(RULES, stricter, facts).passes
