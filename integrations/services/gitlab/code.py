"""Wording of pushes, tags, releases, wiki pages and feature flags."""

from __future__ import annotations

from integrations.services.base import Payload
from integrations.services.code_hosts import MOST_COMMITS, Commit, commit_list, short_sha, titled_sha
from integrations.services.wording import Link, RichText, Unposted, Wording, paragraph, pluralize

from . import threads
from .payload import GitLabPayload
from .wording import not_supported, worded


def is_zero_sha(sha: str) -> bool:
    """GitLab sends zeros as the commit before a branch or tag is created, and after it is deleted."""
    return bool(sha) and not sha.strip("0")


def push(payload: GitLabPayload) -> Wording | Unposted:
    ref, before = payload.text("ref"), payload.maybe_text("before")
    after = payload.maybe_text("after") or payload.maybe_text("checkout_sha")
    if ref.startswith("refs/tags/"):
        return tag_push(payload)
    branch = ref.removeprefix("refs/heads/")
    if is_zero_sha(after):
        entity = threads.branch(payload, branch, deleted=True)
        return worded(payload, "branch.deleted", f"deleted the branch {branch}", entity, joiner="in")
    commits = list(payload.objects("commits"))
    total = max(payload.maybe_number("total_commits_count") or 0, len(commits))
    created = is_zero_sha(before)
    page = f"commits/{branch}" if created else f"compare/{before}...{after}"
    full_url = payload.place.page(page)
    entity = threads.branch(payload, branch, commit=_newest(payload, commits, after))
    if not total and created:
        return worded(payload, "branch.created", f"created the branch {branch}", entity, joiner="in")
    if not total:
        title = RichText(f"moved the branch {branch} to ", Link(short_sha(after), full_url))
        return worded(payload, "push", title, entity, joiner="in")
    to = f" to the new branch {branch}" if created else f" to {branch}"
    title = RichText("pushed ", Link(pluralize(total, "commit"), full_url), to)
    # System hooks do not list the commits.
    body = commit_list(_by_others(payload, commits), total, full_url) if commits else ""
    return worded(payload, "push", title, entity, joiner="in", body=body)


def _newest(payload: GitLabPayload, commits: list[Payload], after: str) -> RichText:
    """The newest commit, which GitLab lists last. If it is not listed, only its id is known."""
    newest = commits[-1] if commits and commits[-1].text("id") == after else None
    title = titled_sha(after, newest.maybe_text("message") if newest else "")
    url = newest.maybe_url("url") if newest else ""
    return RichText(Link(title, url or payload.place.page(f"commit/{after}")))


def _by_others(payload: GitLabPayload, commits: list[Payload]) -> list[Commit]:
    """The commits, with the author of those that somebody else wrote."""
    pusher = {payload.maybe_text(path) for path in ("user_name", "user_username", "user_email")} - {""}
    shown = []
    for commit in commits[-MOST_COMMITS:]:
        name = commit.maybe_text("author.name")
        own = {name, commit.maybe_text("author.email")} & pusher
        sha = commit.text("id")
        url = commit.maybe_url("url") or payload.place.page(f"commit/{sha}")
        shown.append(Commit(sha, url, commit.maybe_text("message"), "" if own else name))
    return shown


def tag_push(payload: GitLabPayload) -> Wording | Unposted:
    name = payload.text("ref").removeprefix("refs/tags/")
    before, after = payload.maybe_text("before"), payload.maybe_text("after")
    # For a deleted tag GitLab sends null as checkout_sha, even if it does not send zeros.
    is_gone = "checkout_sha" in payload.data and "checkout_sha" not in payload
    if is_zero_sha(after) or is_gone:
        return worded(
            payload, "tag.deleted", f"deleted the tag {name}", threads.tag(payload, name, deleted=True), joiner="in"
        )
    message = threads.markdown(payload, payload.maybe_text("message"), payload.place.page(f"tags/{name}"))
    entity = threads.tag(payload, name)
    if is_zero_sha(before):
        return worded(payload, "tag.created", f"created the tag {name}", entity, joiner="in", body=message)
    title = RichText(f"moved the tag {name} to ", Link(short_sha(after), payload.place.page(f"commit/{after}")))
    return worded(payload, "tag.moved", title, entity, joiner="in", body=message)


RELEASE = {
    "create": ("published the release", "published"),
    "update": ("edited the release", "changed"),
    "delete": ("deleted the release", "changed"),
}


def release(payload: GitLabPayload) -> Wording | Unposted:
    action = payload.maybe_text("action")
    if action not in RELEASE:
        return not_supported("release", action)
    title, event_type = RELEASE[action]
    joiner = ""
    if action == "create" and (date := threads.upcoming(payload)):
        title, joiner = f"announced the release for {date}", ":"
    return worded(
        payload, f"release.{event_type}", title, threads.release(payload, deleted=action == "delete"), joiner=joiner
    )


WIKI = {"create": "created", "update": "edited", "delete": "deleted"}


def wiki_page(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action = thing.maybe_text("action")
    if action not in WIKI:
        return not_supported("wiki_page", action)
    entity = threads.wiki_page(payload, thing, deleted=action == "delete")
    body = "" if action == "delete" else paragraph(thing.maybe_text("message"))
    return worded(payload, "wiki_page", f"{WIKI[action]} the wiki page", entity, body=body)


def feature_flag(payload: GitLabPayload) -> Wording:
    verb = "enabled" if payload.attributes.flag("active") else "disabled"
    return worded(payload, "feature_flag", f"{verb} the feature flag", threads.feature_flag(payload))
