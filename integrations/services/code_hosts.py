"""What all services with repositories share: filters, people and machines, the states of things, and their wording."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from integrations.activity import Status, escape, link

from .base import shorten
from .filters import Choice, Rule
from .markdown import LONGEST, REFERENCE, render
from .wording import counted

MOST_COMMITS = 10
LONGEST_SUBJECT = 120
LONGEST_NAME = 100


class PeopleRule(Rule):
    """Logins. The suffix that services put on those of machines may be left out: renovate is renovate[bot] too."""

    def matches(self, wanted: str, word: str) -> bool:
        return Rule.matches(self, wanted, word) or Rule.matches(self, wanted, word.removesuffix("[bot]"))


def events(titles: Mapping[str, Mapping[str, str]]) -> Rule:
    """The rule on kinds of events: under each heading the words of `Told.word` with their titles."""
    choices = (Choice(word, title, group) for group, words in titles.items() for word, title in words.items())
    return Rule("events", "Events", "", choices=tuple(choices))


def branches(change: str) -> Rule:
    """`change` is what the service calls a proposed one: a pull request."""
    hint = (
        f"A star stands for anything: release/* is every release branch. A {change} counts as the branch it goes into. "
        "What belongs to no branch, such as an issue, is not asked."
    )
    return Rule("branches", "Branches", "branch", hint=hint, patterns=True)


def labels(labelled: str) -> Rule:
    return Rule("labels", "Labels", "label", hint=f"The labels of the {labelled}.", patterns=True)


def authors(examples: str) -> Rule:
    return PeopleRule("authors", "Authors", "author", hint=f"Who did it, by {examples}.", patterns=True)


BOTS = Rule(
    "bots",
    "People and bots",
    "",
    choices=(Choice("person", "Work of people"), Choice("bot", "Work of bots")),
)


def drafts(change: str) -> Rule:
    choices = (Choice("draft", f"Draft {change}"), Choice("ready", f"{change.capitalize()} ready for review"))
    return Rule("drafts", "Drafts", "", choices=choices)


def person_facts(login: str, *, bot: bool) -> dict[str, tuple[str, ...]]:
    return {"authors": (login,), "bots": ("bot" if bot else "person",)}


OPEN = Status("open", "green")
DRAFT = Status("draft", "grey")
IN_REVIEW = Status("in review", "yellow")
CHANGES_REQUESTED = Status("changes requested", "orange")
APPROVED = Status("approved", "lime")
MERGED = Status("merged", "purple")
CHANGE_CLOSED = Status("closed", "red")
ISSUE_CLOSED = Status("closed", "black")
DUPLICATE = Status("duplicate", "grey")
TRANSFERRED = Status("transferred", "grey")
DELETED = Status("deleted", "grey")
ARCHIVED = Status("archived", "grey")
TAGGED = Status("tagged", "grey")
TAG_DELETED = Status("tag deleted", "grey")
RELEASED = Status("released", "cyan")
DEPLOYED = Status("deployed", "green")
DEPLOYMENT_FAILED = Status("failed", "red")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a machine's work: `word` for the filters, `words` for the title, `status` for a thread of its own.

    `lasting` leads to the time it took: "failed" "in" "6 min 12 s"; empty where nothing ran that could take time.
    """

    name: str
    phrase: str
    status: Status
    time_joiner: str = ""

    def took(self, seconds: float) -> str:
        """ " in 6 min 12 s"; nothing where it did not run, or where the time is not known or makes no sense."""
        time = duration(int(seconds)) if self.time_joiner else ""
        return f" {self.time_joiner} {time}" if time else ""


PASSED = CheckResult("passed", "passed", Status("passed", "lime"), "in")
FAILED = CheckResult("failed", "failed", Status("failed", "red"), "in")
WAITING = CheckResult("waiting", "waits for somebody to act", Status("waiting", "yellow"))
CANCELLED = CheckResult("cancelled", "was cancelled", Status("cancelled", "grey"), "after")


def seconds_between(start: dt.datetime | None, end: dt.datetime | None) -> float:
    """0 where one of them is not known."""
    return (end - start).total_seconds() if start and end else 0


def duration(seconds: int) -> str:
    """ "6 min 12 s"; nothing where there is none."""
    if seconds <= 0:
        return ""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def short_sha(sha: str) -> str:
    return sha[:7]


def subject_of(message: str) -> str:
    """A commit message's first line."""
    return message.strip().partition("\n")[0]


def titled_sha(sha: str, message: str) -> str:
    """ "6f2a8c1 Greet people": a commit on one line."""
    return f"{short_sha(sha)} {shorten(subject_of(message), LONGEST_SUBJECT)}".strip()


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a push, in plain texts. `by` is who wrote it, where that is somebody else than who pushed."""

    sha: str
    url: str
    message: str
    by: str = ""


def commit_list(commits: Sequence[Commit], total: int, whole: str) -> str:
    """The newest of `commits`, the newest last, as a list; the others of the push's `total` as a link to `whole`."""
    shown = commits[-MOST_COMMITS:]
    items = [_item(commit) for commit in shown]
    if (left := total - len(shown)) > 0:
        items.insert(0, f"<li>{link(counted(left, 'earlier commit'), whole)}</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _item(commit: Commit) -> str:
    by = f", {escape(shorten(commit.by, 60))}" if commit.by else ""
    subject = escape(shorten(subject_of(commit.message), LONGEST_SUBJECT))
    return f"<li>{link(short_sha(commit.sha), commit.url)} {subject}{by}</li>"


Address = Callable[[str, re.Match[str]], str]  # where a reference leads to, by the address of the project it stands in


Resolve = Callable[[str, str], str]  # where an address without a host leads to, by the address of the project


def written(
    source: str,
    whole: str,
    project: str,
    address: Address,
    reference: re.Pattern[str] = REFERENCE,
    resolve: Resolve | None = None,
) -> str:
    """The Markdown that a person wrote in `project`, as `markdown.render` does it, with its references linked."""
    # No more than is looked at is remembered.
    return _written(source.strip()[: LONGEST + 1], whole, project, address, reference, resolve)


# Every event of a pull request brings its description again: most of what reading costs.
@lru_cache(maxsize=256)
def _written(
    source: str, whole: str, project: str, address: Address, reference: re.Pattern[str], resolve: Resolve | None
) -> str:
    return render(
        source,
        whole=whole,
        mention=partial(address, project),
        reference=reference,
        resolve=partial(resolve, project) if resolve else None,
    )
