"""GitHub's entities as threads. There is one function for each, so that all events show it in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from integrations.activity import Status
from integrations.services.base import LONGEST_ADDRESS, Payload, shorten
from integrations.services.code_hosts import (
    ARCHIVED,
    CHANGE_CLOSED,
    DELETED,
    DRAFT,
    DUPLICATE,
    IN_REVIEW,
    ISSUE_CLOSED,
    MERGED,
    OPEN,
    RELEASED,
    TAG_DELETED,
    TAGGED,
    render_markdown,
    short_sha,
    subject_of,
)
from integrations.services.wording import Entity, Link, RichText, Unposted, pluralize

from .people import GHOST, display_names

NOT_PLANNED = Status("not planned", "grey")

PULL_REQUEST_FIELDS = (
    "Pull request", "Branch", "Reviewers", "Assignees", "Labels", "Milestone", "Changes", "Commits",
)  # fmt: skip
EVERYTHING = ("title", "external_url", "status", "body")

# The prefix of temporary branches, which GitHub creates for each attempt of its merge queue.
QUEUE = "gh-readonly-queue/"
MERGE_QUEUE = Unposted("the branch is a temporary one of the merge queue")


def is_queue(branch: str) -> bool:
    return branch.startswith(QUEUE)


def repository_name(payload: Payload) -> str:
    return payload.text("repository.full_name")


def repository_url(payload: Payload) -> str:
    return payload.url("repository.html_url")


def repository_field(payload: Payload) -> tuple[str, RichText]:
    return "Repository", RichText(Link(repository_name(payload), repository_url(payload)))


def page(payload: Payload, path: str) -> str:
    """The address of a page in the repository, or of the repository itself if that is too long for an address."""
    url = f"{repository_url(payload)}/{quote(path)}"
    return url if len(url) <= LONGEST_ADDRESS else repository_url(payload)


def markdown(payload: Payload, source: str, full_url: str) -> str:
    """Render what a person wrote on GitHub: #42 is an issue of this repository, @lea-cohen an account."""
    return render_markdown(source, full_url, repository_url(payload), _address)


def _address(repository: str, match: re.Match[str]) -> str:
    host = "/".join(repository.split("/")[:3])
    return f"{repository}/issues/{match['number']}" if match["number"] else f"{host}/{match['person']}"


def numbered(payload: Payload, thing: Payload) -> RichText:
    return RichText(Link(f"{repository_name(payload)} #{thing.number('number')}", thing.url("html_url")))


def labels_of(thing: Payload) -> tuple[str, ...]:
    return tuple(label.text("name") for label in thing.objects("labels"))


def issue(payload: Payload, status: Status | None = None) -> Entity:
    """The issue at `issue`, or the pull request: events of its comments have it there as well."""
    thing = payload.object("issue")
    if "pull_request" in thing:
        return _pull_request_as_issue(payload, thing)
    title, labels = thing.text("title"), labels_of(thing)
    return Entity.of(
        f"issue:{thing.number('number')}",
        title,
        thing.url("html_url"),
        ("Issue", numbered(payload, thing)),
        *_planning_fields(thing),
        status=status or _issue_status(thing),
        body=markdown(payload, thing.maybe_text("body"), thing.url("html_url")),
        facts={"labels": labels},
    )


def _is_open(thing: Payload) -> bool:
    """A pinned issue is sent without its state, but closed ones always have `closed_at`."""
    return thing.maybe_text("state") == "open" or not (thing.maybe_text("state") or thing.maybe_text("closed_at"))


def _issue_status(thing: Payload) -> Status:
    if _is_open(thing):
        return OPEN
    return {"not_planned": NOT_PLANNED, "duplicate": DUPLICATE}.get(thing.maybe_text("state_reason"), ISSUE_CLOSED)


def _planning_fields(thing: Payload) -> tuple[tuple[str, str], ...]:
    """Fields that issues and pull requests share."""
    return (
        ("Assignees", ", ".join(display_names(thing, "assignees"))),
        ("Labels", ", ".join(labels_of(thing))),
        ("Milestone", thing.maybe_text("milestone.title")),
    )


def _pull_request_as_issue(payload: Payload, thing: Payload) -> Entity:
    """A pull request as the `issue` of a comment: it has an issue's properties, and whether it is merged or a draft."""
    status, certain = _state(thing, merged=bool(thing.maybe_text("pull_request.merged_at")))
    title, draft = thing.text("title"), thing.flag("draft")
    return Entity.of(
        f"pr:{thing.number('number')}",
        title,
        thing.url("html_url"),
        ("Pull request", numbered(payload, thing)),
        *_planning_fields(thing),
        status=status,
        body=markdown(payload, thing.maybe_text("body"), thing.url("html_url")),
        keeps=("Branch", "Reviewers", "Changes", "Commits", *(() if certain else ("status",))),
        facts={"labels": labels_of(thing), "drafts": ("draft" if draft else "ready",)},
    )


def _state(thing: Payload, *, merged: bool) -> tuple[Status, bool]:
    """The status, and whether it is certain: an open pull request may be under review."""
    if merged:
        return MERGED, True
    if not _is_open(thing):
        return CHANGE_CLOSED, True
    if thing.flag("draft"):
        return DRAFT, True
    return OPEN, False


def pull_request(
    payload: Payload, *, decided: Status | None = None, starts: bool = False, reviewer: str = "", removed: bool = False
) -> Entity:
    """The pull request at `pull_request`. Events of reviews send it without the numbers of files and commits.

    GitHub does not send the status of an open pull request's review: `decided` is the status that this event gives it,
    `starts` says that the review starts over, otherwise the thread keeps its status. `reviewer` has just reviewed.
    `removed`: a review request was removed, so an empty list of reviewers means that there are none.
    """
    thing = payload.object("pull_request")
    status, certain = _state(thing, merged=thing.flag("merged") or bool(thing.maybe_text("merged_at")))
    asked = [*display_names(thing, "requested_reviewers"), *display_names(thing, "requested_teams")]
    keeps = [] if "changed_files" in thing else ["Changes", "Commits"]
    if not certain:
        status = decided or (IN_REVIEW if asked else status)
        keeps += [] if decided or starts else ["status"]
    reviewers = [*asked, *([reviewer] if reviewer and reviewer not in asked else [])]
    # Whoever has reviewed is no longer listed as requested, but is still a reviewer.
    keeps += [] if reviewer or removed or starts or decided else ["Reviewers"]
    title, base = thing.text("title"), thing.text("base.ref")
    return Entity.of(
        f"pr:{thing.number('number')}",
        title,
        thing.url("html_url"),
        ("Pull request", numbered(payload, thing)),
        ("Branch", f"{_head(thing)} into {base}"),
        ("Reviewers", ", ".join(reviewers)),
        *_planning_fields(thing),
        ("Changes", _diff_size(thing)),
        ("Commits", str(thing.maybe_number("commits") or "")),
        status=status,
        body=markdown(payload, thing.maybe_text("body"), thing.url("html_url")),
        keeps=keeps,
        facts={
            "labels": labels_of(thing),
            "branches": (base,),
            "drafts": ("draft" if thing.flag("draft") else "ready",),
        },
    )


def _head(thing: Payload) -> str:
    """The source branch, prefixed with its owner if it is in a fork, which may be deleted."""
    is_fork = thing.maybe_number("head.repo.id") != thing.maybe_number("base.repo.id")
    return (thing.maybe_text("head.label") if is_fork else "") or thing.text("head.ref")


def _diff_size(thing: Payload) -> str:
    files = thing.maybe_number("changed_files")
    if files is None:
        return ""
    added, removed = thing.maybe_number("additions") or 0, thing.maybe_number("deletions") or 0
    return f"{pluralize(files, 'file')}, +{added} −{removed}"


def mentioned_pull_request(payload: Payload, mentions: Iterable[Payload]) -> Entity | None:
    """The pull request that a check, a run or a deployment belongs to, if GitHub names one of this repository.

    GitHub finds them by branch, so it also names pull requests within forks, and those from the default branch, whose
    checks are the default branch's own.
    """
    here, main = payload.maybe_number("repository.id"), payload.maybe_text("repository.default_branch")
    for mention in mentions:
        if mention.maybe_number("base.repo.id") != here or mention.text("head.ref") == main:
            continue
        number, head, base = mention.number("number"), mention.text("head.ref"), mention.text("base.ref")
        url = f"{repository_url(payload)}/pull/{number}"
        title = f"Pull request #{number}: {head}"
        return Entity.of(
            f"pr:{number}",
            title,
            url,
            ("Pull request", RichText(Link(f"{repository_name(payload)} #{number}", url))),
            ("Branch", f"{head} into {base}"),
            keeps=(*EVERYTHING, *PULL_REQUEST_FIELDS),
            facts={"branches": (base,)},
        )
    return None


def branch(
    payload: Payload, name: str, *, commit: RichText | None = None, created: bool = False, deleted: bool = False
) -> Entity:
    """A branch. `commit` is its newest; without it the event does not move the branch. `created` resets its status."""
    title = f"{repository_name(payload)}: {name}"
    keeps: tuple[str, ...] = ()
    if commit is None and not deleted:
        keeps = ("title", "external_url", "body", "Latest commit", *(() if created else ("status",)))
    return Entity.of(
        f"branch:{name}",
        repository_name(payload),
        page(payload, f"tree/{name}"),
        ("Latest commit", commit or ""),
        thread_title=title,
        status=DELETED if deleted else None,
        keeps=keeps,
        facts={"branches": (name,)},
    )


def commit(payload: Payload, sha: str, message: str = "") -> Entity:
    first_line = subject_of(message)
    title = f"{short_sha(sha)} {first_line}".strip()
    return Entity.of(
        f"commit:{sha}",
        title,
        page(payload, f"commit/{sha}"),
        repository_field(payload),
        keeps=() if first_line else ("title",),
    )


def tag(payload: Payload, name: str, *, deleted: bool = False) -> Entity:
    """A tag, in the thread of its release, which has more details and is often posted first."""
    title = f"{repository_name(payload)} {name}"
    return Entity.of(
        f"release:{name}",
        repository_name(payload),
        page(payload, f"releases/tag/{name}"),
        ("Tag", name),
        thread_title=title,
        status=TAG_DELETED if deleted else TAGGED,
        keeps=("title", "external_url", "body", "Branch", "Assets", *(() if deleted else ("status",))),
    )


def release(payload: Payload, *, deleted: bool = False) -> Entity:
    thing = payload.object("release")
    tag_name = thing.text("tag_name")
    title = thing.maybe_text("name").strip() or f"{payload.text('repository.name')} {tag_name}"
    status = RELEASED
    if deleted:
        status = DELETED
    elif thing.flag("draft"):
        status = DRAFT
    elif thing.flag("prerelease"):
        status = Status("pre-release", "blue")
    assets = len(list(thing.objects("assets")))
    return Entity.of(
        f"release:{tag_name}",
        title,
        thing.url("html_url"),
        ("Tag", tag_name),
        ("Branch", thing.maybe_text("target_commitish")),
        ("Assets", str(assets) if assets else ""),
        status=status,
        body=markdown(payload, thing.maybe_text("body"), thing.url("html_url")),
    )


def discussion(payload: Payload, status: Status | None = None) -> Entity:
    thing = payload.object("discussion")
    title = thing.text("title")
    return Entity.of(
        f"discussion:{thing.number('number')}",
        title,
        thing.url("html_url"),
        ("Discussion", numbered(payload, thing)),
        ("Category", thing.maybe_text("category.name")),
        ("Labels", ", ".join(labels_of(thing))),
        status=status or _discussion_status(thing),
        body=markdown(payload, thing.maybe_text("body"), thing.url("html_url")),
        facts={"labels": labels_of(thing)},
    )


def _discussion_status(thing: Payload) -> Status:
    state = thing.text("state")
    if thing.maybe_text("answer_chosen_at"):
        return Status("answered", "lime")
    return OPEN if state == "open" else Status(shorten(state, 40), "grey")


def milestone(payload: Payload, *, deleted: bool = False) -> Entity:
    thing = payload.object("milestone")
    title = thing.text("title")
    status = OPEN if thing.text("state") == "open" else ISSUE_CLOSED
    return Entity.of(
        f"milestone:{thing.number('number')}",
        title,
        thing.url("html_url"),
        repository_field(payload),
        ("Issues", f"{thing.number('open_issues')} open, {thing.number('closed_issues')} closed"),
        ("Due date", thing.maybe_text("due_on")[:10]),
        status=DELETED if deleted else status,
        body=markdown(payload, thing.maybe_text("description"), thing.url("html_url")),
    )


def repository(payload: Payload, status: Status | None = None) -> Entity:
    """The repository itself: events about stars, forks, settings and collaborators."""
    thing = payload.object("repository")
    title = thing.text("full_name")
    stars, forks = thing.maybe_number("stargazers_count"), thing.maybe_number("forks_count")
    if status is None:
        status = ARCHIVED if thing.flag("archived") else None
    return Entity.of(
        "repository",
        title,
        thing.url("html_url"),
        ("Visibility", "private" if thing.flag("private") else "public"),
        ("Default branch", thing.maybe_text("default_branch")),
        ("Stars", str(stars or "")),
        ("Forks", str(forks or "")),
        status=status,
        body=markdown(payload, thing.maybe_text("description"), ""),
    )


def wiki(payload: Payload) -> Entity:
    title = f"{repository_name(payload)} wiki"
    return Entity.of("wiki", title, f"{repository_url(payload)}/wiki", repository_field(payload))


def package(payload: Payload) -> Entity:
    thing = payload.object("package")
    title = thing.text("name")
    return Entity.of(
        f"package:{thing.maybe_text('package_type').lower()}:{title}",
        title,
        thing.maybe_url("html_url"),
        ("Type", thing.maybe_text("package_type")),
        ("Version", thing.maybe_text("package_version.version")),
        ("Owner", thing.maybe_text("owner.login") or GHOST),
        status=Status("published", "cyan"),
    )
