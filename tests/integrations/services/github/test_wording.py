"""The wording of GitHub's events. A new case is a payload and a line in wording.txt."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integrations.services.recorded import HERE, Recorded
from tests.integrations.services.wording_table import WordingTable

WORDING = WordingTable("github")
read, activity_of = WORDING.read, WORDING.activity_of
REPOSITORY = "https://github.com/octo/hello"
SHA = "6f2a8c1e0b7d4935a1c2e3f405162738495a6b7c"


def link(text: str, path: str) -> str:
    return f'<a href="{REPOSITORY}{path}">{text}</a>'


KEPT = {
    "check_run.completed.actions_success": "the check passed, and the result of its workflow run is posted",
    "check_run.completed.neutral": "checks with the conclusion neutral are not posted",
    "check_run.created": "only completed checks are posted",
    "check_suite.completed.actions": "GitHub sends a separate event for the workflow run",
    "check_suite.completed.single": "the suite has one check, which is posted on its own",
    "deployment_status.created.in_progress": "only finished deployments are posted",
    "issues.typed": "the GitHub event issues.typed is not supported",
    "page_build.built": "only failed builds are posted",
    "ping": "a ping only confirms that the webhook works",
    "pull_request_review.submitted.wordless": (
        "the review has no text of its own; its comments on lines are posted separately"
    ),
    "push.created": "the new branch has no new commits, and GitHub sends a separate event for it",
    "push.deleted": "GitHub sends a separate event when a branch is deleted",
    "push.tag": "GitHub sends a separate event when a tag is created or deleted",
    "release.created": "a release is posted when it is published",
    "release.released": "GitHub sends a separate event when the release is published",
    "repository.publicized": "GitHub sends a separate event when a repository is made public",
    "star.deleted": "removed stars are not posted",
    "status.pending": "only completed checks are posted",
    "watch.started": "GitHub sends a separate star event",
    "workflow_job.completed": "the result of its workflow run is posted",
    "workflow_run.requested": "only completed workflow runs are posted",
}


@pytest.mark.parametrize("row", WORDING.rows(), ids=lambda row: row[0])
def test_payload_is_worded(row: tuple[str, ...]) -> None:
    assert WORDING.row(row[0]) == row


LINKS = {
    "check_run.completed.failure": f"{REPOSITORY}/runs/1",
    "commit_comment.created": f"{REPOSITORY}/commit/{SHA}#r1",
    "deployment_status.created.success": "https://hello.example.com",
    "issue_comment.edited": f"{REPOSITORY}/issues/7#issuecomment-1",
    "issues.transferred": "https://github.com/octo/docs/issues/1",
    "pull_request.synchronize": f"{REPOSITORY}/compare/{40 * 'a'}...{40 * 'b'}",
    "push": f"{REPOSITORY}/compare/f...0000000",
    "status.success": "https://ci.example.com/1",
    "workflow_run.completed.success": f"{REPOSITORY}/actions/runs/1",
}


@pytest.mark.parametrize(("name", "address"), LINKS.items())
def test_the_title_links_to_its_object(name: str, address: str) -> None:
    assert f'<a href="{address}">' in activity_of(name).title


@pytest.mark.parametrize(("name", "why_not"), KEPT.items())
def test_payload_is_stored_but_not_posted_for_a_reason(name: str, why_not: str) -> None:
    event = read(name)

    assert event.activity is None
    assert event.why_not == why_not


def test_every_recorded_payload_has_an_expected_wording_or_reason() -> None:
    assert WORDING.files() == {row[0] for row in WORDING.rows()} | set(KEPT)


FIELDS: list[tuple[str, dict[str, str]]] = [
    (
        "issues.opened",
        {"Issue": link("octo/hello #7", "/issues/7"), "Assignees": "tomas-brandt", "Labels": "bug", "Milestone": "2.4"},
    ),
    (
        "pull_request.opened",
        {
            "Pull request": link("octo/hello #42", "/pull/42"),
            "Branch": "greet into main",
            "Labels": "feature",
            "Changes": "9 files, +214 −38",
            "Commits": "3",
        },
    ),
    ("pull_request.opened.fork", {"Branch": "tomas-brandt:main into main"}),
    ("pull_request.review_requested", {"Reviewers": "lea-cohen"}),
    ("push", {"Latest commit": link("0000000 Step 3", f"/commit/{3:040x}")}),
    ("release.published", {"Tag": "v2.4.0", "Branch": "main", "Assets": "2"}),
    ("discussion.created", {"Category": "Q&amp;A"}),
    ("milestone.closed", {"Issues": "0 open, 12 closed", "Due date": "2026-01-31"}),
    (
        "workflow_run.completed.success",
        {"Branch": "main", "Commit": link("6f2a8c1 Greet people", f"/commit/{SHA}"), "Started by": "tomas-brandt"},
    ),
    ("deployment_status.created.success", {"Branch or tag": "v2.4.0", "Commit": link("6f2a8c1", f"/commit/{SHA}")}),
    ("star.created", {"Stars": "213", "Default branch": "main"}),
]


@pytest.mark.parametrize(("name", "fields"), FIELDS)
def test_the_thread_has_the_fields_of_its_entity(name: str, fields: dict[str, str]) -> None:
    shown = {field.label: field.value for field in activity_of(name).thread.fields}

    assert shown == {**shown, **fields}


LOG = {
    "pull_request_review.submitted.changes_requested": ("lea-cohen requested changes in", "Greet people"),
    "issues.opened": ("lea-cohen opened the issue", "Emoji <b>break</b> the export"),
    "issues.closed.not_planned": ("lea-cohen closed the issue as not planned:", "Emoji <b>break</b> the export"),
    "push": ("tomas-brandt pushed 3 commits to main in", "octo/hello"),
    "star.created": ("lea-cohen starred the repository", "octo/hello"),
    "workflow_run.completed.success": ("Workflow Build #1187 passed in 6 min 12 s for", "main"),
    "ping": ("lea-cohen set up the webhook of", "octo/hello"),
    "workflow_job.completed": ("lea-cohen: workflow job completed", "lint"),
}


@pytest.mark.parametrize(("name", "line"), LOG.items())
def test_the_log_says_who_did_what_in_plain_text(name: str, line: tuple[str, str]) -> None:
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
def test_a_comment_is_a_discussion_with_its_text(name: str) -> None:
    activity = activity_of(name)

    assert activity.event == "discussion"
    assert activity.body


@pytest.mark.parametrize(
    "name", ["issues.closed", "issue_comment.edited", "pull_request_review.submitted.approved", "push"]
)
def test_other_events_are_activities(name: str) -> None:
    assert activity_of(name).event == "activity"


def test_a_comment_is_rendered_from_markdown() -> None:
    body = activity_of("issue_comment.created").body

    assert body == '<p>Is <strong>this</strong> <a href="https://example.com">reached</a>?</p>'


def test_the_description_is_the_thread_s_body_with_linked_references() -> None:
    body = activity_of("issues.opened").thread.body

    assert (
        body
        == f'<p>Since {link("#3", "/issues/3")}, says <a href="https://github.com/tomas-brandt">@tomas-brandt</a>.</p>'
    )


def test_a_comment_on_lines_shows_the_lines() -> None:
    body = activity_of("pull_request_review_comment.created").body

    assert body.startswith("<pre><code> a = 1\n b = 2\n-c = 3\n+c = &quot;&lt;4&gt;&quot;</code></pre>\n<p>Is ")


def test_titles_are_escaped() -> None:
    assert activity_of("issues.opened").thread.title == "Emoji &lt;b&gt;break&lt;/b&gt; the export"


def test_a_push_lists_its_commits_and_names_other_authors() -> None:
    own, foreign = activity_of("push").body, activity_of("push.other_author").body

    assert own.count("<li>") == 3
    assert own.endswith(f"<li>{link('0000000', f'/commit/{3:040x}')} Step 3</li></ul>")
    assert foreign.endswith(" Step 1, Tomás Brandt</li></ul>")


def test_a_push_of_many_commits_lists_ten_and_links_to_the_others() -> None:
    body = activity_of("push.many").body

    assert body.startswith(f"<ul><li>{link('4 earlier commits', '/compare/f...0000000')}</li>")
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
def test_the_event_has_the_facts_for_the_filters(name: str, facts: dict[str, Any]) -> None:
    actual = read(name).facts

    assert actual == {**actual, **facts}


ABSENT = [
    ("issues.opened", "branches"),
    ("issues.opened", "drafts"),
    ("release.published", "branches"),
    ("create.tag", "branches"),
    # GitHub names only the app, which is not an author.
    ("check_run.completed.success", "authors"),
    ("check_run.completed.success", "bots"),
    ("status.failure.nowhere", "branches"),
]


@pytest.mark.parametrize(("name", "rule"), ABSENT)
def test_an_event_without_a_fact_is_not_affected_by_its_rule(name: str, rule: str) -> None:
    assert rule not in read(name).facts


def test_names_are_used_if_github_sends_them() -> None:
    recorded = Recorded(WORDING.service, HERE.parents[2] / "demo" / "github" / "11-pull_request.review_requested.json")

    activity = recorded.read().activity

    assert activity is not None
    assert activity.author.name == "Tomás Brandt"
    assert activity.title == "requested a review from Lea Cohen"


def test_an_organization_s_webhook_has_separate_threads_for_its_repositories() -> None:
    recorded = Recorded(WORDING.service, HERE / "github" / "pull_request.opened.json")

    activity = recorded.read(**{"X-GitHub-Hook-Installation-Target-Type": "organization"}).activity

    assert activity is not None
    assert activity.thread_id == "octo/hello/pr:42"
