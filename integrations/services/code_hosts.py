"""The filters that all services with repositories share: branches, labels, people and machines, drafts."""

from __future__ import annotations

from .filters import Choice, Rule


class PeopleRule(Rule):
    """Logins. The suffix that services put on those of machines may be left out: renovate is renovate[bot] too."""

    def matches(self, wanted: str, word: str) -> bool:
        return Rule.matches(self, wanted, word) or Rule.matches(self, wanted, word.removesuffix("[bot]"))


BRANCHES = Rule(
    "branches",
    "Branches",
    "branch",
    hint="A star stands for anything: release/* is every release branch. A pull request counts as the branch it goes "
    "into. What belongs to no branch, such as an issue, is not asked.",
    patterns=True,
)
LABELS = Rule("labels", "Labels", "label", hint="The labels of the issue, pull request or discussion.", patterns=True)
AUTHORS = PeopleRule(
    "authors", "Authors", "author", hint="Who did it, by login: lea-cohen, dependabot[bot].", patterns=True
)
BOTS = Rule(
    "bots",
    "People and bots",
    "",
    choices=(Choice("person", "Work of people"), Choice("bot", "Work of bots")),
)
DRAFTS = Rule(
    "drafts",
    "Drafts",
    "",
    choices=(Choice("draft", "Draft pull request"), Choice("ready", "Pull request ready for review")),
)

RULES = (BRANCHES, LABELS, AUTHORS, BOTS, DRAFTS)


def is_bot(login: str, type_: str) -> bool:
    return type_ == "Bot" or login.endswith("[bot]")
