"""What GitHub's payloads become: who did what, in which thread, and the thread's state. A new case is a file and a line."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.activity import Activity
from integrations.services import SERVICES
from integrations.services.base import Event

from .recorded import HERE, Recorded

GITHUB = SERVICES["github"]
REPOSITORY = "https://github.com/octo/hello"
SHA = "6f2a8c1e0b7d4935a1c2e3f405162738495a6b7c"


def read(name: str) -> Event:
    return Recorded(GITHUB, HERE / "github" / f"{name}.json").read()


def activity_of(name: str) -> Activity:
    activity = read(name).activity
    assert activity is not None
    return activity


def link(text: str, path: str) -> str:
    return f'<a href="{REPOSITORY}{path}">{text}</a>'


# The file; who; what (HTML); which thread; its status and colour; the filters' word.
POSTED = [
    ("branch_protection_rule.edited", "lea-cohen", "changed the protection of branch main", "repository", "", "branch_protection_rule"),
    ("check_run.completed.branch", "Codecov", f"check {link('lint', '/runs/1')} timed out in 1 min 5 s", "branch:main", "", "check_run.failed"),
    ("check_run.completed.failure", "Github Actions", f"check {link('lint', '/runs/1')} failed in 1 min 5 s", "pr:42", "", "check_run.failed"),
    ("check_run.completed.fork", "Codecov", f"check {link('lint', '/runs/1')} failed in 1 min 5 s", f"commit:{SHA}", "", "check_run.failed"),
    ("check_run.completed.success", "Codecov", f"check {link('lint', '/runs/1')} passed in 1 min 5 s", "pr:42", "", "check_run.passed"),
    ("check_suite.completed.failure", "Jenkins", "not all 3 checks passed", "branch:main", "", "check_suite.failed"),
    ("check_suite.completed.success", "Jenkins", "3 checks passed", "branch:main", "", "check_suite.passed"),
    ("commit_comment.created", "lea-cohen", f"commented on {link('greet.py', f'/commit/{SHA}#r1')}", f"commit:{SHA}", "", "commit_comment.created"),
    ("create.branch", "lea-cohen", "created branch greet", "branch:greet", "", "create.branch"),
    ("create.tag", "lea-cohen", "created tag v2.4.0", "release:v2.4.0", "tagged grey", "create.tag"),
    ("delete.branch", "lea-cohen", "deleted branch greet", "branch:greet", "deleted grey", "delete.branch"),
    ("delete.tag", "lea-cohen", "deleted tag v2.4.0", "release:v2.4.0", "tag deleted grey", "delete.tag"),
    ("deployment_status.created.failure", "tomas-brandt", 'failed to deploy v2.4.0 to <a href="https://hello.example.com">production</a>', "pr:42", "", "deployment_status.failed"),
    ("deployment_status.created.success", "tomas-brandt", 'deployed v2.4.0 to <a href="https://hello.example.com">production</a>', "environment:production", "deployed green", "deployment_status.passed"),
    ("discussion.answered", "lea-cohen", f"chose {link('the answer of tomas-brandt', '/discussions/5#discussioncomment-1')}", "discussion:5", "answered lime", "discussion.answered"),
    ("discussion.created", "lea-cohen", "started discussion", "discussion:5", "open green", "discussion.created"),
    ("discussion.locked", "lea-cohen", "locked the conversation", "discussion:5", "locked grey", "discussion.locked"),
    ("discussion_comment.created", "lea-cohen", "commented", "discussion:5", "open green", "discussion_comment.created"),
    ("fork", "lea-cohen", 'forked to <a href="https://github.com/lea-cohen/hello">lea-cohen/hello</a>', "repository", "", "fork"),
    ("gollum", "lea-cohen", f"edited and created {link('Home', '/wiki/Home')} and {link('FAQ', '/wiki/FAQ')}", "wiki", "", "gollum"),
    ("issue_comment.created", "lea-cohen", "commented", "issue:7", "open green", "issue_comment.created"),
    ("issue_comment.created.closed", "lea-cohen", "commented", "issue:7", "not planned grey", "issue_comment.created"),
    ("issue_comment.created.merged", "lea-cohen", "commented", "pr:42", "merged purple", "issue_comment.created"),
    ("issue_comment.created.pull_request", "lea-cohen", "commented", "pr:42", "open green", "issue_comment.created"),
    ("issue_comment.deleted", "lea-cohen", "deleted a comment of tomas-brandt", "issue:7", "open green", "issue_comment.deleted"),
    ("issue_comment.edited", "lea-cohen", f"edited {link('a comment', '/issues/7#issuecomment-1')}", "issue:7", "open green", "issue_comment.edited"),
    ("issues.assigned", "lea-cohen", "assigned tomas-brandt", "issue:7", "open green", "issues.assigned"),
    ("issues.closed", "lea-cohen", "closed issue", "issue:7", "closed black", "issues.closed"),
    ("issues.closed.duplicate", "lea-cohen", "closed issue as a duplicate", "issue:7", "duplicate grey", "issues.closed"),
    ("issues.closed.not_planned", "lea-cohen", "closed issue as not planned", "issue:7", "not planned grey", "issues.closed"),
    ("issues.deleted", "lea-cohen", "deleted issue", "issue:7", "deleted grey", "issues.deleted"),
    ("issues.edited", "lea-cohen", "changed the title from “Emoji”", "issue:7", "open green", "issues.edited"),
    ("issues.labeled", "lea-cohen", "added label bug", "issue:7", "open green", "issues.labeled"),
    ("issues.locked", "lea-cohen", "locked the conversation", "issue:7", "open green", "issues.locked"),
    ("issues.milestoned", "lea-cohen", "set milestone 2.4", "issue:7", "open green", "issues.milestoned"),
    ("issues.opened", "lea-cohen", "opened issue", "issue:7", "open green", "issues.opened"),
    ("issues.pinned", "lea-cohen", "pinned issue", "issue:7", "open green", "issues.pinned"),
    ("issues.reopened", "lea-cohen", "reopened issue", "issue:7", "open green", "issues.reopened"),
    ("issues.transferred", "lea-cohen", 'moved issue to <a href="https://github.com/octo/docs/issues/1">octo/docs</a>', "issue:7", "transferred grey", "issues.transferred"),
    ("issues.unlabeled", "lea-cohen", "removed label bug", "issue:7", "open green", "issues.unlabeled"),
    ("member.added", "lea-cohen", "gave tomas-brandt access", "repository", "", "member"),
    ("milestone.closed", "lea-cohen", "closed milestone", "milestone:2", "closed black", "milestone.closed"),
    ("package.published", "lea-cohen", f"published package {link('hello 2.4.0', '/packages/1?version=2.4.0')}", "package:pypi:hello", "published cyan", "package.published"),
    ("page_build.errored", "lea-cohen", "could not build the Pages site", "repository", "", "page_build"),
    ("public", "lea-cohen", "made the repository public", "repository", "", "repository"),
    ("pull_request.auto_merge_enabled", "lea-cohen", "enabled auto-merge", "pr:42", "open green", "pull_request.auto_merge"),
    ("pull_request.closed", "lea-cohen", "closed pull request", "pr:42", "closed red", "pull_request.closed"),
    ("pull_request.closed.merged", "lea-cohen", "merged pull request", "pr:42", "merged purple", "pull_request.merged"),
    ("pull_request.converted_to_draft", "tomas-brandt", "turned back into a draft", "pr:42", "draft grey", "pull_request.converted_to_draft"),
    ("pull_request.edited", "tomas-brandt", "changed the target from main to release/2.4", "pr:42", "open green", "pull_request.edited"),
    ("pull_request.enqueued", "lea-cohen", "added to the merge queue", "pr:42", "open green", "pull_request.queued"),
    ("pull_request.labeled", "lea-cohen", "added label feature", "pr:42", "open green", "pull_request.labeled"),
    ("pull_request.opened", "tomas-brandt", "opened pull request", "pr:42", "open green", "pull_request.opened"),
    ("pull_request.opened.bot", "dependabot[bot]", "opened pull request", "pr:42", "open green", "pull_request.opened"),
    ("pull_request.opened.draft", "tomas-brandt", "opened draft pull request", "pr:42", "draft grey", "pull_request.opened"),
    ("pull_request.opened.fork", "tomas-brandt", "opened pull request", "pr:42", "open green", "pull_request.opened"),
    ("pull_request.ready_for_review", "tomas-brandt", "marked as ready for review", "pr:42", "open green", "pull_request.ready_for_review"),
    ("pull_request.reopened", "lea-cohen", "reopened pull request", "pr:42", "open green", "pull_request.reopened"),
    ("pull_request.review_request_removed", "tomas-brandt", "no longer asks lea-cohen for a review", "pr:42", "open green", "pull_request.review_request_removed"),
    ("pull_request.review_requested", "tomas-brandt", "asked lea-cohen for a review", "pr:42", "in review yellow", "pull_request.review_requested"),
    ("pull_request.review_requested.team", "tomas-brandt", "asked Core for a review", "pr:42", "in review yellow", "pull_request.review_requested"),
    ("pull_request.synchronize", "tomas-brandt", f"pushed {link('new commits', f'/compare/{40 * 'a'}...{40 * 'b'}')}", "pr:42", "open green", "pull_request.synchronize"),
    ("pull_request_review.dismissed", "tomas-brandt", "dismissed the review of lea-cohen", "pr:42", "in review yellow", "pull_request_review.dismissed"),
    ("pull_request_review.submitted.approved", "lea-cohen", "approved", "pr:42", "approved lime", "pull_request_review.approved"),
    ("pull_request_review.submitted.changes_requested", "lea-cohen", "asked for changes", "pr:42", "changes requested orange", "pull_request_review.changes_requested"),
    ("pull_request_review.submitted.commented", "lea-cohen", "reviewed", "pr:42", "open green", "pull_request_review.commented"),
    ("pull_request_review_comment.created", "lea-cohen", f"commented on {link('greet.py', '/pull/42#discussion_r1')}", "pr:42", "open green", "pull_request_review_comment.created"),
    ("pull_request_review_thread.resolved", "lea-cohen", f"resolved {link('a conversation on greet.py', '/pull/42#discussion_r1')}", "pr:42", "open green", "pull_request_review_thread.resolved"),
    ("push", "tomas-brandt", f"pushed {link('3 commits', '/compare/f...0000000')} to main", "branch:main", "", "push"),
    ("push.deploy_key", "deploy key", f"pushed {link('1 commit', '/compare/f...0000000')} to main", "branch:main", "", "push"),
    ("push.forced", "tomas-brandt", f"force-pushed {link('2 commits', '/compare/f...0000000')} to release/2.4", "branch:release/2.4", "", "push"),
    ("push.many", "tomas-brandt", f"pushed {link('14 commits', '/compare/f...0000000')} to main", "branch:main", "", "push"),
    ("push.moved", "tomas-brandt", f"moved main to {link('6f2a8c1', '/compare/f...6f2a8c1')}", "branch:main", "", "push"),
    ("push.other_author", "lea-cohen", f"pushed {link('1 commit', '/compare/f...0000000')} to main", "branch:main", "", "push"),
    ("release.deleted", "lea-cohen", "deleted release", "release:v2.4.0", "deleted grey", "release.changed"),
    ("release.published", "lea-cohen", "published release", "release:v2.4.0", "released cyan", "release.published"),
    ("release.published.pre", "lea-cohen", "published pre-release", "release:v3.0rc1", "pre-release blue", "release.prereleased"),
    ("repository.archived", "lea-cohen", "archived the repository", "repository", "archived grey", "repository"),
    ("repository.renamed", "lea-cohen", "renamed the repository from hi", "repository", "", "repository"),
    ("star.created", "lea-cohen", "starred", "repository", "", "star"),
    ("status.failure.nowhere", "ci-machine", 'reported <a href="https://ci.example.com/1">ci/jenkins</a> as failed', f"commit:{SHA}", "", "status.failed"),
    ("status.success", "ci-machine", 'reported <a href="https://ci.example.com/1">ci/jenkins</a> as passed', "branch:greet", "", "status.passed"),
    ("workflow_run.completed.failure", "GitHub Actions", f"{link('Build #1187', '/actions/runs/1')} failed at attempt 2 in 6 min 12 s", "pr:42", "", "workflow_run.failed"),
    ("workflow_run.completed.fork", "GitHub Actions", f"{link('Build #1187', '/actions/runs/1')} failed in 6 min 12 s", "workflow:build.yml:aiko-sato:main", "failed red", "workflow_run.failed"),
    ("workflow_run.completed.main_is_a_head", "GitHub Actions", f"{link('Build #1187', '/actions/runs/1')} failed in 6 min 12 s", "workflow:build.yml:main", "failed red", "workflow_run.failed"),
    ("workflow_run.completed.success", "GitHub Actions", f"{link('Build #1187', '/actions/runs/1')} passed in 6 min 12 s", "workflow:build.yml:main", "passed lime", "workflow_run.passed"),
]  # fmt: skip

KEPT = {
    "check_run.completed.actions_success": "it passed, and GitHub Actions reports the whole run as well",
    "check_run.completed.neutral": "its outcome, neutral, decides nothing",
    "check_run.created": "only what came of a check is posted",
    "check_suite.completed.actions": "GitHub Actions reports its workflow runs as well",
    "check_suite.completed.single": "its one check is posted by itself",
    "deployment_status.created.in_progress": "only what came of a deployment is posted",
    "issues.typed": "GitHub's issues typed is not a kind we post",
    "page_build.built": "only builds that failed are posted",
    "ping": "a ping only says that the webhook is there",
    "pull_request_review.submitted.wordless": "it has no words of its own, and its comments on lines are posted one by one",
    "push.created": "GitHub reports the new branch as well, and it holds no new commits",
    "push.deleted": "GitHub reports the branch's removal as well",
    "push.tag": "GitHub reports a tag's creation or removal as well",
    "release.created": "it is posted once it is published",
    "release.released": "GitHub reports that it is published as well",
    "repository.publicized": "GitHub reports the repository as public as well",
    "star.deleted": "a star taken back is left unsaid",
    "status.pending": "only what came of a check is posted",
    "watch.started": "GitHub reports the star as well",
    "workflow_job.completed": "GitHub reports the whole run as well",
    "workflow_run.requested": "only what came of a run is posted",
}


@pytest.mark.parametrize(("name", "author", "title", "thread_id", "status", "word"), POSTED)
def test_payload_is_worded(name: str, author: str, title: str, thread_id: str, status: str, word: str) -> None:
    event = read(name)

    activity = event.activity
    assert activity is not None, event.why_not
    assert (activity.author.name, activity.title, activity.thread_id) == (author, title, thread_id)
    shown = activity.thread.status
    assert (f"{shown.value} {shown.color}" if shown else "") == status
    assert event.facts["events"] == (word,)


@pytest.mark.parametrize(("name", "why_not"), KEPT.items())
def test_payload_is_kept_and_not_posted_for_a_reason(name: str, why_not: str) -> None:
    event = read(name)

    assert event.activity is None
    assert event.why_not == why_not


def test_every_recorded_payload_has_its_line() -> None:
    files = {path.stem for path in (HERE / "github").glob("*.json")}

    assert files == {name for name, *_ in POSTED} | set(KEPT)


FIELDS: list[tuple[str, dict[str, str]]] = [
    ("issues.opened", {"Issue": link("octo/hello #7", "/issues/7"), "Assignees": "tomas-brandt", "Labels": "bug", "Milestone": "2.4"}),
    ("pull_request.opened", {"Pull request": link("octo/hello #42", "/pull/42"), "Branch": "greet into main", "Labels": "feature", "Changes": "9 files, +214 −38", "Commits": "3"}),
    ("pull_request.opened.fork", {"Branch": "tomas-brandt:main into main"}),
    ("pull_request.review_requested", {"Reviewers": "lea-cohen"}),
    ("push", {"Latest commit": link("0000000 Step 3", f"/commit/{3:040x}")}),
    ("release.published", {"Tag": "v2.4.0", "Branch": "main", "Files": "2"}),
    ("discussion.created", {"Category": "Q&amp;A"}),
    ("milestone.closed", {"Issues": "0 open, 12 closed", "Due": "2026-01-31"}),
    ("workflow_run.completed.success", {"Branch": "main", "Commit": link("6f2a8c1 Greet people", f"/commit/{SHA}"), "Started by": "tomas-brandt"}),
    ("deployment_status.created.success", {"Deployed": "v2.4.0", "Commit": link("6f2a8c1", f"/commit/{SHA}")}),
    ("star.created", {"Stars": "213", "Main branch": "main"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields"), FIELDS)
def test_thread_has_the_fields_of_its_entity(name: str, fields: dict[str, str]) -> None:
    shown = {field.label: field.value for field in activity_of(name).thread.fields}

    assert shown == {**shown, **fields}


LOG = {
    "pull_request_review.submitted.changes_requested": ("lea-cohen asked for changes in", "Greet people"),
    "issues.opened": ("lea-cohen opened issue", "Emoji <b>break</b> the export"),
    "issues.closed.not_planned": ("lea-cohen closed issue as not planned:", "Emoji <b>break</b> the export"),
    "push": ("tomas-brandt pushed 3 commits to main in", "octo/hello"),
    "star.created": ("lea-cohen starred", "octo/hello"),
    "workflow_run.completed.success": ("GitHub Actions Build #1187 passed in 6 min 12 s for", "main"),
    "ping": ("lea-cohen set up the webhook of", "octo/hello"),
    "workflow_job.completed": ("lea-cohen: workflow job completed", "lint"),
}


@pytest.mark.parametrize(("name", "line"), LOG.items())
def test_log_says_who_did_what_in_plain_text(name: str, line: tuple[str, str]) -> None:
    event = read(name)

    assert (event.summary, event.subject) == line


SAID = [
    "commit_comment.created",
    "discussion_comment.created",
    "issue_comment.created",
    "pull_request_review.submitted.changes_requested",
    "pull_request_review_comment.created",
]


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_is_a_discussion_with_its_text(name: str) -> None:
    activity = activity_of(name)

    assert activity.event == "discussion"
    assert activity.body


@pytest.mark.parametrize(
    "name", ["issues.closed", "issue_comment.edited", "pull_request_review.submitted.approved", "push"]
)
def test_what_is_done_is_an_activity(name: str) -> None:
    assert activity_of(name).event == "activity"


def test_comment_is_rendered_from_markdown() -> None:
    body = activity_of("issue_comment.created").body

    assert body == '<p>Is <strong>this</strong> <a href="https://example.com">reached</a>?</p>'


def test_description_is_the_threads_body_with_its_references_linked() -> None:
    body = activity_of("issues.opened").thread.body

    assert (
        body
        == f'<p>Since {link("#3", "/issues/3")}, says <a href="https://github.com/tomas-brandt">@tomas-brandt</a>.</p>'
    )


def test_comment_on_lines_shows_the_lines() -> None:
    body = activity_of("pull_request_review_comment.created").body

    assert body.startswith("<pre><code> a = 1\n b = 2\n-c = 3\n+c = &quot;&lt;4&gt;&quot;</code></pre>\n<p>Is ")


def test_titles_are_escaped() -> None:
    assert activity_of("issues.opened").thread.title == "Emoji &lt;b&gt;break&lt;/b&gt; the export"


def test_push_lists_its_commits_newest_last_and_names_foreign_authors() -> None:
    own, foreign = activity_of("push").body, activity_of("push.other_author").body

    assert own.count("<li>") == 3
    assert own.endswith(f"<li>{link('0000000', f'/commit/{3:040x}')} Step 3</li></ul>")
    assert foreign.endswith(" Step 1, Tomás Brandt</li></ul>")


def test_push_of_many_commits_lists_the_last_ten_and_links_to_the_others() -> None:
    body = activity_of("push.many").body

    assert body.startswith(f"<ul><li>{link('4 earlier commits', '/compare/f...000000e')}</li>")
    assert body.count("<li>") == 11


FACTS: list[tuple[str, dict[str, Any]]] = [
    ("issues.opened", {"labels": ("bug",), "authors": ("lea-cohen",), "bots": ("person",)}),
    ("pull_request.opened", {"branches": ("main",), "labels": ("feature",), "drafts": ("ready",)}),
    ("pull_request.opened.draft", {"drafts": ("draft",)}),
    ("pull_request.opened.bot", {"authors": ("dependabot[bot]",), "bots": ("bot",)}),
    ("push.forced", {"branches": ("release/2.4",)}),
    ("push.deploy_key", {"authors": ("deploy key",)}),
    ("check_run.completed.failure", {"branches": ("main",), "authors": ("lea-cohen",)}),
    ("check_run.completed.branch", {"branches": ("main",)}),
    ("status.success", {"branches": ("main", "greet"), "authors": ("tomas-brandt",), "bots": ("person",)}),
    ("issue_comment.created.pull_request", {"labels": ("feature",), "drafts": ("ready",)}),
    ("discussion.created", {"labels": ()}),
]


@pytest.mark.parametrize(("name", "facts"), FACTS)
def test_filters_are_told_the_facts(name: str, facts: dict[str, Any]) -> None:
    told = read(name).facts

    assert told == {**told, **facts}


ABSENT = [
    ("issues.opened", "branches"),
    ("issues.opened", "drafts"),
    ("release.published", "branches"),
    ("create.tag", "branches"),
    # Only the checking app is named, and it is nobody's author.
    ("check_run.completed.success", "authors"),
    ("check_run.completed.success", "bots"),
    ("status.failure.nowhere", "branches"),
]


@pytest.mark.parametrize(("name", "rule"), ABSENT)
def test_rule_does_not_apply_where_the_event_has_no_such_fact(name: str, rule: str) -> None:
    assert rule not in read(name).facts


def test_name_is_read_where_github_sends_one() -> None:
    recorded = Recorded(GITHUB, HERE.parents[2] / "demo" / "github" / "11-pull_request.review_requested.json")

    activity = recorded.read().activity

    assert activity is not None
    assert activity.author.name == "Tomás Brandt"
    assert activity.title == "asked Lea Cohen for a review"


def test_webhook_of_an_organisation_tells_the_threads_of_its_repositories_apart() -> None:
    recorded = Recorded(GITHUB, HERE / "github" / "pull_request.opened.json")

    activity = recorded.read(**{"X-GitHub-Hook-Installation-Target-Type": "organization"}).activity

    assert activity is not None
    assert activity.thread_id == "octo/hello/pr:42"
