"""Pushes, tags, releases, wiki pages and feature flags, worded."""

from __future__ import annotations

from integrations.services.base import Payload
from integrations.services.code_hosts import MOST_COMMITS, Commit, commit_list, short_sha, titled_sha
from integrations.services.wording import Link, Told, Unposted, Words, counted, paragraph

from . import threads
from .payload import Hook
from .wording import not_worded, told


def is_nothing(sha: str) -> bool:
    """Zeros stand for the side of a push where there is no branch or tag."""
    return bool(sha) and not sha.strip("0")


def push(hook: Hook) -> Told | Unposted:
    ref, before = hook.text("ref"), hook.maybe_text("before")
    after = hook.maybe_text("after") or hook.maybe_text("checkout_sha")
    if ref.startswith("refs/tags/"):
        return tag_push(hook)
    branch = ref.removeprefix("refs/heads/")
    if is_nothing(after):
        entity = threads.branch(hook, branch, deleted=True)
        return told(hook, "branch.deleted", f"deleted branch {branch}", entity, about="in")
    commits = list(hook.objects("commits"))
    total = max(hook.maybe_number("total_commits_count") or 0, len(commits))
    created = is_nothing(before)
    page = f"commits/{branch}" if created else f"compare/{before}...{after}"
    whole = hook.place.page(page)
    entity = threads.branch(hook, branch, commit=_newest(hook, commits, after))
    if not total and created:
        return told(hook, "branch.created", f"created branch {branch}", entity, about="in")
    if not total:
        did = Words(f"moved {branch} to ", Link(short_sha(after), whole))
        return told(hook, "push", did, entity, about="in")
    to = f" to new branch {branch}" if created else f" to {branch}"
    did = Words("pushed ", Link(counted(total, "commit"), whole), to)
    # System hooks list none of them.
    body = commit_list(_by_others(hook, commits), total, whole) if commits else ""
    return told(hook, "push", did, entity, about="in", body=body)


def _newest(hook: Hook, commits: list[Payload], after: str) -> Words:
    """GitLab tells the newest commit last. Of one that it tells nothing of, only the number is known."""
    newest = commits[-1] if commits and commits[-1].text("id") == after else None
    title = titled_sha(after, newest.maybe_text("message") if newest else "")
    url = newest.maybe_url("url") if newest else ""
    return Words(Link(title, url or hook.place.page(f"commit/{after}")))


def _by_others(hook: Hook, commits: list[Payload]) -> list[Commit]:
    """The commits; who wrote them is said where that is somebody else than who pushed."""
    pusher = {hook.maybe_text(path) for path in ("user_name", "user_username", "user_email")} - {""}
    told = []
    for commit in commits[-MOST_COMMITS:]:
        name = commit.maybe_text("author.name")
        own = {name, commit.maybe_text("author.email")} & pusher
        sha = commit.text("id")
        url = commit.maybe_url("url") or hook.place.page(f"commit/{sha}")
        told.append(Commit(sha, url, commit.maybe_text("message"), "" if own else name))
    return told


def tag_push(hook: Hook) -> Told | Unposted:
    name = hook.text("ref").removeprefix("refs/tags/")
    before, after = hook.maybe_text("before"), hook.maybe_text("after")
    # A tag that is gone can no longer be checked out: GitLab then sends null, also where it does not send zeros.
    is_gone = "checkout_sha" in hook.data and "checkout_sha" not in hook
    if is_nothing(after) or is_gone:
        return told(hook, "tag.deleted", f"deleted tag {name}", threads.tag(hook, name, deleted=True), about="in")
    message = threads.markdown(hook, hook.maybe_text("message"), hook.place.page(f"tags/{name}"))
    entity = threads.tag(hook, name)
    if is_nothing(before):
        return told(hook, "tag.created", f"created tag {name}", entity, about="in", body=message)
    did = Words(f"moved tag {name} to ", Link(short_sha(after), hook.place.page(f"commit/{after}")))
    return told(hook, "tag.moved", did, entity, about="in", body=message)


RELEASE = {
    "create": ("published release", "published"),
    "update": ("edited release", "changed"),
    "delete": ("deleted release", "changed"),
}


def release(hook: Hook) -> Told | Unposted:
    action = hook.maybe_text("action")
    if action not in RELEASE:
        return not_worded("release", action)
    did, word = RELEASE[action]
    about = ""
    if action == "create" and (date := threads.upcoming(hook)):
        did, about = f"announced release, due {date}", ":"
    return told(hook, f"release.{word}", did, threads.release(hook, deleted=action == "delete"), about=about)


WIKI = {"create": "created", "update": "edited", "delete": "deleted"}


def wiki_page(hook: Hook) -> Told | Unposted:
    thing = hook.attributes
    action = thing.maybe_text("action")
    if action not in WIKI:
        return not_worded("wiki_page", action)
    entity = threads.wiki_page(hook, thing, deleted=action == "delete")
    body = "" if action == "delete" else paragraph(thing.maybe_text("message"))
    return told(hook, "wiki_page", f"{WIKI[action]} wiki page", entity, body=body)


def feature_flag(hook: Hook) -> Told:
    verb = "on" if hook.attributes.flag("active") else "off"
    return told(hook, "feature_flag", f"switched {verb} feature flag", threads.feature_flag(hook))
