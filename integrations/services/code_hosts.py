"""What all services with repositories share: filters, people and bots, statuses, and their wording."""

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
from .wording import pluralize

MOST_COMMITS = 10
LONGEST_SUBJECT = 120
LONGEST_NAME = 100


class PeopleRule(Rule):
    """Matches logins. The suffix [bot] may be left out: renovate matches renovate[bot] as well."""

    def matches(self, wanted: str, word: str) -> bool:
        return Rule.matches(self, wanted, word) or Rule.matches(self, wanted, word.removesuffix("[bot]"))


def events(titles: Mapping[str, Mapping[str, str]]) -> Rule:
    """The rule on events. `titles` maps each heading to its values of `Wording.event_type` with their titles."""
    choices = (Choice(value, title, group) for group, values in titles.items() for value, title in values.items())
    return Rule("events", "Events", "", choices=tuple(choices))


def branches(change: str) -> Rule:
    """`change` is what the service calls a proposed change: "pull request"."""
    hint = (
        f"* matches anything: release/* is every release branch. A {change} counts by its target branch. "
        "Events without a branch, such as issues, are not affected."
    )
    return Rule("branches", "Branches", "branch", hint=hint, patterns=True)


def labels(labeled: str) -> Rule:
    return Rule("labels", "Labels", "label", hint=f"The labels of the {labeled}.", patterns=True)


def authors(examples: str) -> Rule:
    return PeopleRule("authors", "Authors", "author", hint=f"Who did it, by {examples}.", patterns=True)


BOTS = Rule(
    "bots",
    "People and bots",
    "",
    choices=(Choice("person", "Work by a person"), Choice("bot", "Work by a bot")),
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
    """How a check, a job or a pipeline ended.

    `name` is for filters, `phrase` for titles, `status` for a thread of its own. `time_joiner` connects the phrase with
    the duration: "failed" "after" "6 min 12 s"; it is empty if nothing ran.
    """

    name: str
    phrase: str
    status: Status
    time_joiner: str = ""

    def time_taken(self, seconds: float) -> str:
        """ " in 6 min 12 s", with its leading space; empty if nothing ran or the duration is not known."""
        time = duration(int(seconds)) if self.time_joiner else ""
        return f" {self.time_joiner} {time}" if time else ""


PASSED = CheckResult("passed", "passed", Status("passed", "lime"), "in")
FAILED = CheckResult("failed", "failed", Status("failed", "red"), "after")
WAITING = CheckResult("waiting", "is waiting for manual action", Status("waiting", "yellow"))
CANCELLED = CheckResult("cancelled", "was canceled", Status("canceled", "grey"), "after")


def seconds_between(start: dt.datetime | None, end: dt.datetime | None) -> float:
    """0 if one of them is not known."""
    return (end - start).total_seconds() if start and end else 0


def duration(seconds: int) -> str:
    """ "6 min 12 s"; empty for 0 and less."""
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
    """A commit of a push, in plain texts. `by` is its author, if another person pushed it."""

    sha: str
    url: str
    message: str
    by: str = ""


def commit_list(commits: Sequence[Commit], total: int, full_url: str) -> str:
    """The last of `commits`, newest last, as an HTML list; the rest of the push's `total` as a link to `full_url`."""
    shown = commits[-MOST_COMMITS:]
    items = [_item(commit) for commit in shown]
    if (left := total - len(shown)) > 0:
        items.insert(0, f"<li>{link(pluralize(left, 'earlier commit'), full_url)}</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _item(commit: Commit) -> str:
    by = f", {escape(shorten(commit.by, 60))}" if commit.by else ""
    subject = escape(shorten(subject_of(commit.message), LONGEST_SUBJECT))
    return f"<li>{link(short_sha(commit.sha), commit.url)} {subject}{by}</li>"


# Given the address of the project, the URL of a reference such as #42, and of an address without a host.
ReferenceUrl = Callable[[str, re.Match[str]], str]
Resolve = Callable[[str, str], str]


def render_markdown(
    source: str,
    full_url: str,
    project: str,
    reference_url: ReferenceUrl,
    reference: re.Pattern[str] = REFERENCE,
    resolve: Resolve | None = None,
) -> str:
    """Render the Markdown that a person wrote in `project`, with its references linked."""
    # Cut first, so that the cache holds no more text than is rendered.
    return _cached_markdown(source.strip()[: LONGEST + 1], full_url, project, reference_url, reference, resolve)


# Every event of a pull request repeats its description, and rendering it is most of the cost of reading an event.
@lru_cache(maxsize=256)
def _cached_markdown(
    source: str,
    full_url: str,
    project: str,
    reference_url: ReferenceUrl,
    reference: re.Pattern[str],
    resolve: Resolve | None,
) -> str:
    return render(
        source,
        full_url=full_url,
        reference_url=partial(reference_url, project),
        reference=reference,
        resolve=partial(resolve, project) if resolve else None,
    )
