"""GitLab's entities as threads. There is one function for each, so that all events show it in the same way."""

from __future__ import annotations

import re

from integrations.activity import Status
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import (
    CHANGE_CLOSED,
    CHANGES_REQUESTED,
    DELETED,
    DEPLOYED,
    DEPLOYMENT_FAILED,
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
    seconds_between,
    short_sha,
    subject_of,
    titled_sha,
)
from integrations.services.wording import Entity, Link, RichText

from .payload import GROUPS, GitLabPayload, Place
from .people import display_name, display_names

MOVED = Status("moved", "grey")
ON = Status("on", "green")
OFF = Status("off", "grey")
EXPIRING = Status("expiring", "orange")
UPCOMING = Status("upcoming", "blue")
# A release is upcoming if its date is at least this many seconds after its creation.
A_WHILE = 3600
# "#42" is an issue, "!42" a merge request, "@lea-cohen" an account and "@octo/design" a group.
REFERENCE = re.compile(
    r"(?<![\w/@#!&.-])"
    r"(?:(?P<sign>[#!])(?P<number>[1-9]\d{0,9})|@(?P<person>[A-Za-z0-9_](?:[A-Za-z0-9_./-]{0,200}[A-Za-z0-9_-])?))"
    r"(?!\w)",
    re.ASCII,
)
# GitLab's types of work items, as people call them.
WORK_ITEMS = {
    "issue", "incident", "task", "epic", "test case", "requirement", "objective", "key result", "ticket",
}  # fmt: skip
# The ref of a merge request's pipeline in old versions.
MERGE_REQUEST_REF = re.compile(r"refs/merge-requests/(?P<number>\d{1,18})/.+", re.ASCII)
STATES = {1: "opened", 2: "closed", 3: "merged", 4: "locked"}


def markdown(payload: GitLabPayload, source: str, full_url: str) -> str:
    """Render what a person wrote on GitLab, with the references of its project linked."""
    return render_markdown(source, full_url, f"{payload.instance} {payload.place.url}", _address, REFERENCE, _resolve)


def _address(where: str, match: re.Match[str]) -> str:
    """`where` is the address of the instance and of the project or group. In a group, numbers refer to nothing."""
    instance, _, place = where.partition(" ")
    if match["person"]:
        return f"{instance}/{match['person']}" if instance else ""
    if not place or place.startswith(f"{instance}{GROUPS}"):
        return ""
    return f"{place}/-/{'issues' if match['sign'] == '#' else 'merge_requests'}/{match['number']}"


def _resolve(where: str, address: str) -> str:
    """Uploads are below the project or group; any other absolute path is below the instance."""
    instance, _, place = where.partition(" ")
    if address.startswith("/uploads/") and place:
        return f"{place}/-{address}" if place.startswith(f"{instance}{GROUPS}") else f"{place}{address}"
    return f"{instance}{address}" if instance and re.match(r"/(?!/)", address) else ""


def reference(place: Place, sign: str, number: int, url: str) -> RichText:
    return RichText(Link(f"{place.name} {sign}{number}", url))


def place_field(place: Place) -> tuple[str, RichText]:
    return place.noun.capitalize(), RichText(Link(place.name, place.url))


def state_of(thing: Payload) -> str:
    return thing.maybe_text("state") or STATES.get(thing.maybe_number("state_id") or 1, "opened")


def is_over(thing: Payload) -> bool:
    return state_of(thing) in {"closed", "merged"}


def labels_of(payload: GitLabPayload, thing: Payload) -> tuple[str, ...] | None:
    """None if the event has no labels. Old versions send them at the top level."""
    for holder in (thing, payload):
        if "labels" in holder:
            return tuple(label.text("title") for label in holder.objects("labels"))
    return None


def noun_of(thing: Payload) -> str:
    name = thing.maybe_text("type") or thing.maybe_text("issue_type") or "issue"
    noun = name.replace("_", " ").lower()
    return noun if noun in WORK_ITEMS else "work item"


def _assignees(payload: GitLabPayload) -> list[str]:
    """Old versions send only one assignee."""
    if "assignees" in payload or "assignee" not in payload:
        return display_names(payload, "assignees")
    return [display_name(payload.object("assignee"))]


def _missing_fields(payload: GitLabPayload, thing: Payload, *beside: str) -> list[str]:
    """Parts of the thread that this event has no value for. Those in `beside` come only with object_attributes."""
    missing = [] if thing.prefix == "object_attributes." else [*beside]
    if "description" not in thing.data:
        missing.append("body")
    if labels_of(payload, thing) is None:
        missing.append("Labels")
    # Often GitLab sends only the milestone's id: then the thread keeps the title it has.
    has_one = "milestone_id" not in thing.data or thing.maybe_number("milestone_id") is not None
    if has_one and not thing.maybe_text("milestone.title") and "changes.milestone_id" not in payload:
        missing.append("Milestone")
    return missing


def epic(payload: GitLabPayload, thing: Payload) -> Entity:
    """An epic that was commented on. Its payload does not contain its type."""
    return issue(payload, thing, "epic")


def issue(payload: GitLabPayload, thing: Payload, noun: str = "") -> Entity:
    """An issue or another work item, at object_attributes, or next to it in events of comments."""
    place, number, title = payload.place, thing.number("iid"), thing.text("title")
    noun = noun or noun_of(thing)
    kind = "epic" if noun == "epic" else "issue"
    url = thing.maybe_url("url") or place.page(f"{kind}s/{number}")
    labels, keeps = labels_of(payload, thing), _missing_fields(payload, thing, "Assignees", "Severity", "Due date")
    if not thing.maybe_text("state") and thing.maybe_number("state_id") is None:
        keeps.append("status")
    severity = thing.maybe_text("severity") if noun == "incident" else ""
    return Entity.of(
        f"{place.key}/{kind}:{number}",
        title,
        url,
        (noun.capitalize(), reference(place, "&" if noun == "epic" else "#", number, url)),
        ("Assignees", "" if "Assignees" in keeps else ", ".join(_assignees(payload))),
        ("Labels", ", ".join(labels or ())),
        ("Milestone", thing.maybe_text("milestone.title")),
        ("Due date", thing.maybe_text("due_date")[:10]),
        ("Severity", "" if severity == "unknown" else severity),
        ("Confidential", "yes" if thing.flag("confidential") else ""),
        status=_issue_status(thing),
        body=markdown(payload, thing.maybe_text("description"), url),
        keeps=keeps,
        facts={} if labels is None else {"labels": labels},
    )


def _issue_status(thing: Payload) -> Status:
    if state_of(thing) != "closed":
        return OPEN
    if thing.maybe_number("duplicated_to_id"):
        return DUPLICATE
    return MOVED if thing.maybe_number("moved_to_id") else ISSUE_CLOSED


def is_draft(thing: Payload) -> bool:
    """Older versions call it work in progress, and the oldest mark it only by the title."""
    marked = thing.flag("draft") or thing.flag("work_in_progress")
    return marked or thing.maybe_text("title").lower().startswith(("draft:", "wip:"))


def merge_request(
    payload: GitLabPayload,
    thing: Payload,
    *,
    decided: Status | None = None,
    starts: bool = False,
    is_asked: bool = False,
) -> Entity:
    """A merge request at object_attributes, or with fewer properties in events of comments and pipelines.

    GitLab does not send the status of an open merge request's review: `decided` is the status that this event gives it,
    `starts` says that the review starts over, with a review requested if `is_asked`; otherwise the thread keeps its
    status.
    """
    place, number, title = payload.place, thing.number("iid"), thing.text("title")
    source, target = thing.text("source_branch"), thing.text("target_branch")
    url = thing.maybe_url("url") or place.page(f"merge_requests/{number}")
    labels, keeps = labels_of(payload, thing), _missing_fields(payload, thing, "Assignees", "Reviewers")
    status, is_certain = _state(thing)
    if not is_certain:
        status = decided or (IN_REVIEW if starts and is_asked else status)
        keeps += [] if decided or starts or status is CHANGES_REQUESTED else ["status"]
    facts = {"branches": (target,), "drafts": ("draft" if is_draft(thing) else "ready",)}
    return Entity.of(
        f"{place.key}/mr:{number}",
        title,
        url,
        ("Merge request", reference(place, "!", number, url)),
        ("Branch", f"{_source(thing, source)} into {target}"),
        ("Reviewers", "" if "Reviewers" in keeps else ", ".join(display_names(payload, "reviewers"))),
        ("Assignees", "" if "Assignees" in keeps else ", ".join(_assignees(payload))),
        ("Labels", ", ".join(labels or ())),
        ("Milestone", thing.maybe_text("milestone.title")),
        status=status,
        body=markdown(payload, thing.maybe_text("description"), url),
        keeps=keeps,
        facts=facts if labels is None else {**facts, "labels": labels},
    )


def _state(thing: Payload) -> tuple[Status, bool]:
    """The status, and whether it is certain: an open merge request may be under review."""
    state = state_of(thing)
    # The state is locked while it is being merged, and sometimes still in the event of the merge.
    if state == "merged" or thing.maybe_text("action") == "merge":
        return MERGED, True
    if state == "closed":
        return CHANGE_CLOSED, True
    if is_draft(thing):
        return DRAFT, True
    asked = thing.maybe_text("detailed_merge_status") == "requested_changes"
    return (CHANGES_REQUESTED if asked else OPEN), False


def _source(thing: Payload, branch: str) -> str:
    """The source branch, prefixed with its project if it is in a fork."""
    is_fork = thing.maybe_number("source_project_id") != thing.maybe_number("target_project_id")
    project = thing.maybe_text("source.path_with_namespace") if is_fork else ""
    return f"{project}:{branch}" if project else branch


def branch(payload: GitLabPayload, name: str, *, commit: RichText | None = None, deleted: bool = False) -> Entity:
    """A branch; `commit` is its newest, if the event has it."""
    place = payload.place
    return Entity.of(
        f"{place.key}/branch:{name}",
        place.name,
        place.page(f"tree/{name}"),
        ("Latest commit", commit or ""),
        thread_title=f"{place.name}: {name}",
        status=DELETED if deleted else None,
        facts={"branches": (name,)},
    )


def commit(payload: GitLabPayload, thing: Payload) -> Entity:
    place, sha = payload.place, thing.text("id")
    title = f"{short_sha(sha)} {subject_of(thing.maybe_text('message') or thing.maybe_text('title'))}".strip()
    return Entity.of(
        f"{place.key}/commit:{sha}",
        title,
        thing.maybe_url("url") or place.page(f"commit/{sha}"),
        place_field(place),
    )


def snippet(payload: GitLabPayload, thing: Payload) -> Entity:
    place, number, title = payload.place, thing.number("id"), thing.text("title")
    url = thing.maybe_url("url") or place.page(f"snippets/{number}")
    return Entity.of(
        f"{place.key}/snippet:{number}",
        title,
        url,
        ("Snippet", reference(place, "$", number, url)),
        ("File", thing.maybe_text("file_name")),
        body=markdown(payload, thing.maybe_text("description"), url),
    )


def tag(payload: GitLabPayload, name: str, *, deleted: bool = False) -> Entity:
    """A tag, in the thread of its release, which has more details and is often posted first."""
    place = payload.place
    return Entity.of(
        f"{place.key}/release:{name}",
        place.name,
        place.page(f"tags/{name}"),
        ("Tag", name),
        thread_title=f"{place.name} {name}",
        status=TAG_DELETED if deleted else TAGGED,
        keeps=("title", "external_url", "body", "Assets", *(() if deleted else ("status",))),
    )


def upcoming(payload: GitLabPayload) -> str:
    """The date of an upcoming release, else "". GitLab sends no event when that date comes."""
    ahead = seconds_between(payload.time("created_at"), payload.time("released_at"))
    return payload.maybe_text("released_at")[:10] if ahead > A_WHILE else ""


def release(payload: GitLabPayload, *, deleted: bool = False) -> Entity:
    place, tag_name = payload.place, payload.text("tag")
    title = payload.maybe_text("name").strip()
    # GitLab names a release without a name after its tag.
    title = f"{place.name} {tag_name}" if title in {"", tag_name} else title
    url = payload.maybe_url("url") or place.page(f"releases/{tag_name}")
    assets, date = len(list(payload.objects("assets.links"))), upcoming(payload)
    return Entity.of(
        f"{place.key}/release:{tag_name}",
        title,
        url,
        ("Tag", tag_name),
        ("Release date", date),
        ("Assets", str(assets) if assets else ""),
        status=DELETED if deleted else UPCOMING if date else RELEASED,
        body=markdown(payload, payload.maybe_text("description"), url),
    )


def wiki_page(payload: GitLabPayload, thing: Payload, *, deleted: bool = False) -> Entity:
    place, title = payload.place, thing.text("title")
    slug = thing.maybe_text("slug") or title
    return Entity.of(
        f"{place.key}/wiki:{slug}",
        title,
        thing.maybe_url("url") or place.page(f"wikis/{slug}"),
        place_field(place),
        status=DELETED if deleted else None,
    )


def milestone(payload: GitLabPayload, *, deleted: bool = False) -> Entity:
    place, thing = payload.place, payload.attributes
    number, title = thing.number("iid"), thing.text("title")
    url = place.page(f"milestones/{number}")
    status = ISSUE_CLOSED if thing.maybe_text("state") == "closed" else OPEN
    return Entity.of(
        f"{place.key}/milestone:{number}",
        title,
        url,
        ("Milestone", reference(place, "%", number, url)),
        ("Start date", thing.maybe_text("start_date")[:10]),
        ("Due date", thing.maybe_text("due_date")[:10]),
        status=DELETED if deleted else status,
        body=markdown(payload, thing.maybe_text("description"), url),
    )


def feature_flag(payload: GitLabPayload) -> Entity:
    place, thing = payload.place, payload.attributes
    name, url = thing.text("name"), place.page("feature_flags")
    return Entity.of(
        f"{place.key}/feature_flag:{name}",
        name,
        url,
        place_field(place),
        status=ON if thing.flag("active") else OFF,
        body=markdown(payload, thing.maybe_text("description"), url),
    )


def numbered(payload: GitLabPayload, ref: str) -> Entity | None:
    """The merge request that the `ref` of a job or an old pipeline stands for. Only its number is known."""
    match = MERGE_REQUEST_REF.fullmatch(ref)
    if match is None:
        return None
    place, number = payload.place, int(match["number"])
    url = place.page(f"merge_requests/{number}")
    return Entity.of(
        f"{place.key}/mr:{number}",
        f"{place.name} !{number}",
        url,
        ("Merge request", reference(place, "!", number, url)),
        thread_title=f"Merge request !{number}",
        keeps=("title", "external_url", "status", "body", *MERGE_REQUEST_FIELDS),
    )


def numbered_issue(payload: GitLabPayload, number: int) -> Entity:
    """The issue that a design belongs to. Only its number is known."""
    place = payload.place
    url = place.page(f"issues/{number}")
    return Entity.of(
        f"{place.key}/issue:{number}",
        f"{place.name} #{number}",
        url,
        ("Issue", reference(place, "#", number, url)),
        thread_title=f"Issue #{number}",
        keeps=("title", "external_url", "status", "body", *ISSUE_FIELDS),
    )


# The fields of an issue and of a merge request, without its number.
ISSUE_FIELDS = ("Assignees", "Labels", "Milestone", "Due date", "Severity", "Confidential")
MERGE_REQUEST_FIELDS = ("Branch", "Reviewers", "Assignees", "Labels", "Milestone")


def pipeline(
    payload: GitLabPayload, ref: str, status: Status, *, is_tag: bool, url: str, commit: RichText, started_by: str
) -> Entity:
    """The pipelines of a branch or a tag; the newest gives the status."""
    place = payload.place
    label = "Tag" if is_tag else "Branch"
    return Entity.of(
        # A branch name cannot contain a colon.
        f"{place.key}/pipeline:tag:{ref}" if is_tag else f"{place.key}/pipeline:{ref}",
        f"{place.name}: {ref}",
        url,
        (label, ref),
        ("Commit", commit),
        ("Started by", started_by),
        thread_title=f"{place.name}: pipeline for {ref}",
        status=status,
        facts={} if is_tag else {"branches": (ref,)},
    )


def environment(payload: GitLabPayload, worked: bool | None) -> Entity:
    """The environment of a deployment. `worked` is None if the environment did not change."""
    place, name = payload.place, payload.text("environment")
    sha, url = payload.maybe_text("short_sha"), payload.link("commit_url")
    commit = RichText(Link(titled_sha(sha, payload.maybe_text("commit_title")), url)) if sha else ""
    is_changed = worked is not None
    return Entity.of(
        f"{place.key}/environment:{name}",
        place.name,
        place.page("environments"),
        ("Branch or tag", payload.maybe_text("ref") if is_changed else ""),
        ("Commit", commit if is_changed else ""),
        thread_title=f"{place.name}: {name}",
        status={True: DEPLOYED, False: DEPLOYMENT_FAILED, None: None}[worked],
        keeps=() if is_changed else ("status", "Branch or tag", "Commit"),
    )


def token(payload: GitLabPayload, noun: str, path: str) -> Entity:
    """A token that expires soon; `path` is the page where a new one is created."""
    place, thing = payload.place, payload.attributes
    title = f"{noun.capitalize()} {thing.text('name')}"
    return Entity.of(
        f"{place.key}/{noun.replace(' ', '_')}-{thing.maybe_number('id') or thing.text('name')}",
        title,
        place.page(path),
        place_field(place),
        ("Expires", thing.maybe_text("expires_at")[:10]),
        status=EXPIRING,
    )


def place(payload: GitLabPayload, status: Status | None = None) -> Entity:
    """The project or group itself: events about members, names, creation and deletion."""
    place = payload.place
    owners = ", ".join(shorten(owner.maybe_text("name"), 60) for owner in payload.objects("owners"))
    visibility = payload.maybe_text("project_visibility")
    return Entity.of(
        f"{place.key}/{place.noun}",
        place.name,
        place.url,
        place_field(place),
        ("Visibility", visibility),
        ("Owners", owners),
        status=status,
        keeps=(*(() if status else ("status",)), *(() if owners else ("Owners",))),
    )
