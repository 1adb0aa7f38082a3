"""Wording of pushes, branches, tags, releases, packages, wiki pages and comments on commits."""

from __future__ import annotations

from dataclasses import replace

from integrations.activity import Author
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import LONGEST_NAME, MOST_COMMITS, Commit, commit_list, short_sha, titled_sha
from integrations.services.wording import Link, RichText, Unposted, Wording, pluralize

from . import threads
from .people import GHOST
from .wording import not_supported, worded
from .work import commented, place_of

MOST_PAGES = 5


def push(payload: Payload) -> Wording | Unposted:
    ref = payload.text("ref")
    if not ref.startswith("refs/heads/"):
        return Unposted("GitHub sends a separate event when a tag is created or deleted")
    if payload.flag("deleted"):
        return Unposted("GitHub sends a separate event when a branch is deleted")
    branch = ref.removeprefix("refs/heads/")
    commits = list(payload.objects("commits"))
    if threads.is_queue(branch):
        return threads.MERGE_QUEUE
    if payload.flag("created") and not commits:
        return Unposted("the new branch has no new commits, and GitHub sends a separate event for it")
    after = payload.text("after")
    full_url = payload.maybe_url("compare") or threads.page(payload, f"commits/{branch}")
    verb = "force-pushed" if payload.flag("forced") else "pushed"
    if commits:
        what = RichText(f"{verb} ", Link(pluralize(len(commits), "commit"), full_url), f" to {branch}")
    elif payload.flag("forced"):
        what = RichText(f"force-pushed the branch {branch} to ", Link(short_sha(after), full_url))
    else:
        what = RichText(f"moved the branch {branch} to ", Link(short_sha(after), full_url))
    newest = Link(
        titled_sha(after, payload.maybe_text("head_commit.message")),
        payload.maybe_url("head_commit.url") or threads.page(payload, f"commit/{after}"),
    )
    entity = threads.branch(payload, branch, commit=RichText(newest))
    wording = worded(
        payload,
        "push",
        what,
        entity,
        joiner="in",
        body=commit_list(by_others(payload, commits), len(commits), full_url),
    )
    if wording.author.name == GHOST and (pusher := payload.maybe_text("pusher.name")):
        return replace(wording, author=Author(shorten(pusher, LONGEST_NAME))).with_facts(authors=(pusher,))
    return wording


def by_others(payload: Payload, commits: list[Payload]) -> list[Commit]:
    """The commits, with the author of those that somebody else wrote."""
    paths = ("sender.login", "sender.name", "pusher.name")
    # An author without an account has an empty username, which must not match the pusher's.
    pushers = {payload.maybe_text(path) for path in paths} - {""}
    shown = []
    for commit in commits[-MOST_COMMITS:]:
        name = commit.maybe_text("author.name")
        own = {commit.maybe_text("author.username"), name} & pushers
        shown.append(Commit(commit.text("id"), commit.url("url"), commit.maybe_text("message"), "" if own else name))
    return shown


def create(payload: Payload) -> Wording | Unposted:
    return _branch_or_tag("create", "created", payload, payload.maybe_text("ref"))


def delete(payload: Payload) -> Wording | Unposted:
    return _branch_or_tag("delete", "deleted", payload, payload.text("ref"))


def _branch_or_tag(kind: str, verb: str, payload: Payload, name: str) -> Wording | Unposted:
    """`kind` is GitHub's event. One that creates a repository has no name."""
    ref_type, deleted = payload.text("ref_type"), kind == "delete"
    if ref_type == "branch" and threads.is_queue(name):
        return threads.MERGE_QUEUE
    if ref_type == "branch":
        entity = threads.branch(payload, name, created=not deleted, deleted=deleted)
    elif ref_type == "tag":
        entity = threads.tag(payload, name, deleted=deleted)
    else:
        return not_supported(kind, ref_type)
    return worded(payload, f"{kind}.{ref_type}", f"{verb} the {ref_type} {name}", entity, joiner="in")


def commit_comment(payload: Payload) -> Wording | Unposted:
    sha = payload.text("comment.commit_id")
    where = Link(place_of(payload.object("comment")) or short_sha(sha), payload.url("comment.html_url"))
    return commented("commit_comment", payload, threads.commit(payload, sha), where)


# GitHub sends several events for one release, of which one is posted.
RELEASE_UNPOSTED = {
    "created": "a release is posted when it is published",
    "released": "GitHub sends a separate event when the release is published",
    "prereleased": "GitHub sends a separate event when the release is published",
}


def release(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action in RELEASE_UNPOSTED:
        return Unposted(RELEASE_UNPOSTED[action])
    if action == "published":
        title = "published the pre-release" if payload.flag("release.prerelease") else "published the release"
        event_type = "release.prereleased" if payload.flag("release.prerelease") else "release.published"
        return worded(payload, event_type, title, threads.release(payload))
    if action in {"edited", "unpublished", "deleted"}:
        entity = threads.release(payload, deleted=action == "deleted")
        return worded(payload, "release.changed", f"{action} the release", entity)
    return not_supported("release", action)


def package(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action not in {"published", "updated"}:
        return not_supported("package", action)
    version = payload.maybe_text("package.package_version.version")
    url = payload.maybe_text("package.package_version.html_url")
    what = Link(f"{payload.text('package.name')} {shorten(version, 60)}".strip(), url)
    title = RichText(f"{action} the package ", what)
    return worded(payload, "package.published", title, threads.package(payload), joiner="in")


def gollum(payload: Payload) -> Wording | Unposted:
    pages = [(page.text("action"), Link(page.text("title"), page.url("html_url"))) for page in payload.objects("pages")]
    if not pages:
        return Unposted("the event names no page")
    verbs = dict.fromkeys(action for action, _ in pages)
    named: list[str | Link] = [page for _, page in pages[:MOST_PAGES]]
    if more := len(pages) - len(named):
        named.append(f"{more} more")
    noun = "the wiki page" if len(pages) == 1 else "the wiki pages"
    title = RichText(f"{' and '.join(verbs)} {noun} ", *RichText.join(named, last=" and ").parts)
    return worded(payload, "gollum", title, threads.wiki(payload), joiner="in")
