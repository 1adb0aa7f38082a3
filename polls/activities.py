"""What is posted about a poll. Each poll is a thread, whose fields are the options with their votes.

Labels, questions and comments are plain text and must be escaped, because posts are HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from django.conf import settings

from integrations.activity import Action, Activity, Author, Field, Status, Thread, escape, link

from .results import OptionResult, Results, count

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .models import Poll

# Under each heading, the kinds of events that filters know, with their titles.
KINDS: Mapping[str, Mapping[str, str]] = {
    "Polls": {"created": "Poll created", "option_added": "Option added", "closed": "Poll closed"},
    "Votes": {"voted": "Vote", "vote_removed": "Vote removed"},
    "Comments": {"commented": "Comment"},
}
CREATED = "created the poll"
COMMENTED = "commented"


def voted(label: str) -> str:
    return f"voted for {escape(label)}"


def vote_changed(before: str, label: str) -> str:
    return f"changed their vote from {escape(before)} to {escape(label)}"


def vote_removed(label: str) -> str:
    return f"removed their vote for {escape(label)}"


def option_added(label: str) -> str:
    return f"added the option {escape(label)}"


def closed(results: Results) -> str:
    return f"closed the poll: {escape(results.summary)}"


def author(person: User) -> Author:
    return Author(name=person.get_full_name() or person.get_username(), email=person.email)


def activity(
    poll: Poll,
    results: Results,
    *,
    author: Author,
    title: str,
    body: str = "",
    event: Literal["activity", "discussion"] = "activity",
) -> Activity:
    """`title` is HTML, `body` is plain text."""
    return Activity(
        author=author,
        title=title,
        body=paragraph(body),
        event=event,
        thread_id=f"poll:{poll.pk}",
        thread=thread(poll, results),
    )


def thread(poll: Poll, results: Results) -> Thread:
    url = absolute(poll.get_absolute_url())
    return Thread(
        title=escape(poll.question),
        body=paragraph(poll.description),
        external_url=url,
        status=Status("open", "green") if poll.is_open else Status("closed", "grey"),
        fields=(
            *(Field(option.label, _votes(option, poll, results)) for option in results.options),
            Field("Category", link(poll.category.name, absolute(poll.category.get_absolute_url()))),
            Field("Votes", _total(poll, results)),
        ),
        actions=(Action("Vote", url),) if poll.is_open else (),
    )


def _votes(option: OptionResult, poll: Poll, results: Results) -> str:
    votes = count(option.votes, "vote")
    if poll.is_open or not option.leads:
        return votes
    return f"{votes}, tied" if len(results.leaders) > 1 else f"{votes}, wins"


def _total(poll: Poll, results: Results) -> str:
    if not poll.several_answers:
        return str(results.votes)
    people = "1 person" if results.voters == 1 else f"{results.voters} people"
    return f"{results.votes} by {people}"


def paragraph(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def absolute(path: str) -> str:
    return f"{settings.BRIDGE_URL}{path}"
