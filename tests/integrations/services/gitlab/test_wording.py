"""The wording of GitLab's events. A new case is a payload and a line in wording.txt."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integrations.services.wording_table import WordingTable

WORDING = WordingTable("gitlab")
read, activity_of = WORDING.read, WORDING.activity_of
PROJECT = "https://gitlab.com/octo/website"
SHA, FIRST = "045d2030dae5bafa19e81a5091e735efba8edef2", "97c60aa12b0d8dcedf236968138090bdab1ee0f5"
ISSUE, CHANGE = "Prices <b>jump</b> when the country is switched", "Keep the <currency> when the country is switched"


def link(text: str, path: str) -> str:
    return f'<a href="{PROJECT}{path}">{text}</a>'


PIPELINE_TELLS = "only failed jobs are posted; the result of the pipeline is posted as well"
ACCOUNTS = "accounts concern only the administrators of GitLab"
KEYS = "keys concern only their owners and the administrators of GitLab"
REFUSED = "refused and withdrawn access requests concern only the people involved"
SEATS = "this event is about the subscription’s seats"
UNDER_WAY = "only finished pipelines are posted"
VULNERABILITIES = "vulnerabilities are visible to fewer people than a flow"
KEPT = {
    "build.canceled": PIPELINE_TELLS,
    "build.created": PIPELINE_TELLS,
    "build.failed.allowed": "the job is allowed to fail",
    "build.running": PIPELINE_TELLS,
    "build.success": PIPELINE_TELLS,
    "deployment.running": "only finished deployments are posted",
    "emoji.revoke.issue": "removed reactions are not posted",
    "gitlab_subscription_member_approval": SEATS,
    "gitlab_subscription_member_approvals": SEATS,
    "issue.update.position": "changes of these properties are not posted: relative position",
    "key_create": KEYS,
    "key_destroy": KEYS,
    "merge_request.update.nothing": "the event does not say what changed",
    "merge_request.update.prepared": "changes of these properties are not posted: merge status, prepared at",
    "note.issue.system": "GitLab wrote this comment about a change, which is posted itself",
    "pipeline.pending": UNDER_WAY,
    "pipeline.running": UNDER_WAY,
    "pipeline.running.merge_request": UNDER_WAY,
    "pipeline.skipped": UNDER_WAY,
    "project_update": "the event does not say what changed in the project",
    "repository_update": "GitLab sends a separate event for the push",
    "user_access_request_denied_for_group": REFUSED,
    "user_access_request_revoked_for_group": REFUSED,
    "user_access_request_revoked_for_project": REFUSED,
    "user_create": ACCOUNTS,
    "user_destroy": ACCOUNTS,
    "user_failed_login": ACCOUNTS,
    "user_rename": ACCOUNTS,
    "vulnerability.confirmed": VULNERABILITIES,
    "vulnerability.detected": VULNERABILITIES,
    "vulnerability.dismissed": VULNERABILITIES,
    "vulnerability.resolved": VULNERABILITIES,
}


@pytest.mark.parametrize("row", WORDING.rows(), ids=lambda row: row[0])
def test_payload_is_worded(row: tuple[str, ...]) -> None:
    assert WORDING.row(row[0]) == row


@pytest.mark.parametrize(("name", "why_not"), KEPT.items())
def test_payload_is_stored_but_not_posted_for_a_reason(name: str, why_not: str) -> None:
    event = read(name)

    assert event.activity is None
    assert event.why_not == why_not


def test_every_recorded_payload_has_an_expected_wording_or_reason() -> None:
    assert WORDING.files() == {row[0] for row in WORDING.rows()} | set(KEPT)


LINKS = {
    "build.failed": f"{PROJECT}/-/jobs/90222",
    "deployment.success": "https://octo.example",
    "emoji.award.note": f"{PROJECT}/-/issues/7#note_3301",
    "merge_request.update.commits": f"{PROJECT}/-/compare/{FIRST}...{SHA}",
    "note.commit": f"{PROJECT}/-/commit/{FIRST}#note_3321",
    "note.issue.edited": f"{PROJECT}/-/issues/7#note_3301",
    "note.merge_request.diff": f"{PROJECT}/-/merge_requests/31#note_3312",
    "pipeline.failed": f"{PROJECT}/-/pipelines/77102",
    "push": f"{PROJECT}/-/compare/c7da8aa2dc87fdb0c1871ed81c0ed9e43f6079f0...{SHA}",
    "push.created": f"{PROJECT}/-/commits/7-keep-the-currency",
    "tag_push.moved": f"{PROJECT}/-/commit/abc600a2f2055cf7a5a9ea797f25365300f6fe7d",
}


@pytest.mark.parametrize(("name", "address"), LINKS.items())
def test_the_title_links_to_its_object(name: str, address: str) -> None:
    assert f'<a href="{address}">' in activity_of(name).title


PAGES = {
    "access_token.expiring.group": "https://gitlab.com/groups/octo/-/settings/access_tokens",
    "access_token.expiring.project": f"{PROJECT}/-/settings/access_tokens",
    "deploy_token.expiring": f"{PROJECT}/-/settings/repository",
    "deployment.success": f"{PROJECT}/-/environments",
    "feature_flag.on": f"{PROJECT}/-/feature_flags",
    "group_create": "https://gitlab.com/groups/octo-labs",
    "issue.open": f"{PROJECT}/-/issues/7",
    "merge_request.open": f"{PROJECT}/-/merge_requests/31",
    "milestone.close": f"{PROJECT}/-/milestones/4",
    "milestone.create.group": "https://gitlab.com/groups/octo/-/milestones/1",
    "pipeline.success": f"{PROJECT}/-/pipelines/77101",
    "project_create": "https://gitlab.com/octo/fonts",
    "push": f"{PROJECT}/-/tree/main",
    "release.create": f"{PROJECT}/-/releases/v3.2.0",
    "tag_push.created": f"{PROJECT}/-/tags/v3.2.0",
    "user_add_to_group": "https://gitlab.com/groups/octo",
    "user_add_to_team": PROJECT,
    "wiki_page.update": f"{PROJECT}/-/wikis/How-we-ship",
    "work_item.open.epic": "https://gitlab.com/groups/octo/-/epics/3",
}


@pytest.mark.parametrize(("name", "address"), PAGES.items())
def test_the_thread_links_to_its_page(name: str, address: str) -> None:
    assert activity_of(name).thread.external_url == address


FIELDS: list[tuple[str, dict[str, str]]] = [
    ("issue.open", {"Issue": link("octo/website #7", "/-/issues/7"), "Assignees": "Ines Rao", "Labels": "bug"}),
    ("issue.update.due_date", {"Due date": "2026-01-23"}),
    ("issue.open.confidential", {"Confidential": "yes"}),
    ("work_item.open.incident", {"Incident": link("octo/website #13", "/-/work_items/13"), "Severity": "critical"}),
    (
        "work_item.open.epic",
        {"Epic": '<a href="https://gitlab.com/groups/octo/-/epics/3">octo &amp;3</a>'},
    ),
    (
        "merge_request.open",
        {
            "Merge request": link("octo/website !31", "/-/merge_requests/31"),
            "Branch": "7-keep-the-currency into main",
            "Reviewers": "Lea Cohen",
            "Assignees": "Ines Rao",
            "Labels": "bug",
        },
    ),
    ("merge_request.open.fork", {"Branch": "mira-okafor/website:7-keep-the-currency into main"}),
    ("push", {"Latest commit": link("045d203 Round as the bank does", f"/-/commit/{SHA}")}),
    (
        "pipeline.success",
        {
            "Branch": "main",
            "Commit": link("045d203 Round as the bank does", f"/-/commit/{SHA}"),
            "Started by": "Ines Rao",
        },
    ),
    ("pipeline.success.tag", {"Tag": "v3.2.0"}),
    ("build.failed", {"Branch": "main", "Commit": link("045d203 Round as the bank does", f"/-/commit/{SHA}")}),
    (
        "deployment.success",
        {"Branch or tag": "main", "Commit": link("045d203 Round as the bank does", f"/-/commit/{SHA}")},
    ),
    ("deployment.failed", {"Branch or tag": "main"}),
    ("milestone.close", {"Milestone": link("octo/website %4", "/-/milestones/4"), "Due date": "2026-03-01"}),
    ("note.snippet", {"Snippet": link("octo/website $620", "/-/snippets/620"), "File": "rates.rb"}),
    ("access_token.expiring.project", {"Project": link("octo/website", ""), "Expires": "2026-01-20"}),
    ("project_create", {"Visibility": "private", "Owners": "Lea Cohen"}),
    ("user_add_to_team", {"Project": link("octo/website", ""), "Visibility": "private"}),
]


@pytest.mark.parametrize(("name", "fields"), FIELDS)
def test_the_thread_has_the_fields_of_its_entity(name: str, fields: dict[str, str]) -> None:
    shown = {field.label: field.value for field in activity_of(name).thread.fields}

    assert shown == {**shown, **fields}


KEEPS: list[tuple[str, set[str]]] = [
    ("issue.open", set()),
    ("note.issue", {"Assignees", "Milestone", "Severity", "Due date"}),
    ("merge_request.open", set()),
    ("merge_request.approved", set()),
    ("merge_request.approval", {"status"}),
    ("merge_request.update.labels", {"status"}),
    ("merge_request.update.milestone", {"status"}),
    ("merge_request.merge", set()),
    ("note.merge_request", {"Assignees", "Reviewers", "Milestone", "status"}),
    ("note.merge_request.merged", {"Assignees", "Reviewers", "Milestone"}),
    ("pipeline.failed.merge_request", {"Assignees", "Reviewers", "Milestone", "status", "Labels", "body"}),
    ("deployment.canceled", {"status", "Branch or tag", "Commit"}),
    ("tag_push.created", {"title", "external_url", "body", "Assets", "status"}),
    ("user_add_to_team", {"status", "Owners"}),
]


@pytest.mark.parametrize(("name", "keeps"), KEEPS)
def test_parts_of_the_thread_that_an_event_does_not_contain_are_kept(name: str, keeps: set[str]) -> None:
    assert set(activity_of(name).thread.keeps) == keeps


LOG = {
    "issue.open": ("Mira Okafor opened the issue", ISSUE),
    "issue.close.duplicate": ("Lea Cohen closed the issue as a duplicate:", ISSUE),
    "issue.update.scoped_label": ("Lea Cohen added the label priority::high and removed the label bug:", ISSUE),
    "merge_request.update.changes_requested": ("Lea Cohen requested changes in", CHANGE),
    "merge_request.update.commits": ("Ines Rao pushed new commits to", CHANGE),
    "note.merge_request.diff": ("Lea Cohen commented on app/basket.rb:15 in", CHANGE),
    "push": ("Ines Rao pushed 2 commits to main in", "octo/website"),
    "pipeline.failed": ("Pipeline #77102 failed after 2 min 23 s for", "octo/website: main"),
    "pipeline.failed.merge_request": ("Pipeline #77111 failed after 5 min 12 s for", CHANGE),
    "milestone.close": ("octo/website closed the milestone", "Spring relaunch"),
    "release.create": ("octo/website published the release", "3.2 <Relaunch>"),
    "project_rename": ("octo renamed the project from octo/typefaces to", "octo/fonts"),
    "user_add_to_team": ("Mira Okafor joined as Developer in", "octo/website"),
    "access_token.expiring.group": ("octo has an access token that expires on 2026-01-20:", "Access token mirror"),
    "build.success": ("Ines Rao: build success", "rspec"),
    "vulnerability.confirmed": ("vulnerability confirmed", "Nokogiri follows <xi:include>"),
    "repository_update": ("Ines Rao: repository update", "octo/website"),
}


@pytest.mark.parametrize(("name", "line"), LOG.items())
def test_the_log_says_who_did_what_in_plain_text(name: str, line: tuple[str, str]) -> None:
    event = read(name)

    assert (event.summary, event.subject) == line


ACTIONS = {
    "issue.open": "open",
    "pipeline.failed": "failed",
    "build.failed": "failed",
    "deployment.success": "success",
    "milestone.close": "close",
    "push": "",
    "user_add_to_team": "",
    "vulnerability.detected": "detected",
}


@pytest.mark.parametrize(("name", "action"), ACTIONS.items())
def test_the_action_is_gitlab_s_own_name(name: str, action: str) -> None:
    assert read(name).action == action


@pytest.mark.parametrize("name", ["note.commit", "note.issue", "note.merge_request.diff", "note.snippet"])
def test_a_comment_is_a_discussion_with_its_text(name: str) -> None:
    activity = activity_of(name)

    assert activity.event == "discussion"
    assert activity.body


@pytest.mark.parametrize(
    "name", ["issue.close", "note.issue.edited", "merge_request.approved", "push", "emoji.award.issue"]
)
def test_other_events_are_activities(name: str) -> None:
    assert activity_of(name).event == "activity"


def test_a_comment_is_rendered_from_markdown_with_linked_mentions() -> None:
    body = activity_of("note.issue").body

    assert '<a href="https://gitlab.com/mira-okafor">@mira-okafor</a>, was it the <em>old</em> basket?' in body
    assert "<pre><code>Money.new(100, session[:currency])" in body


def test_the_description_is_the_thread_s_body_with_linked_references() -> None:
    assert link("!28", "/-/merge_requests/28") in activity_of("issue.open").thread.body
    assert f"Closes {link('#7', '/-/issues/7')}." in activity_of("merge_request.open").thread.body


def test_titles_are_escaped() -> None:
    assert activity_of("issue.open").thread.title == "Prices &lt;b&gt;jump&lt;/b&gt; when the country is switched"


def test_a_failed_pipeline_names_its_failed_jobs() -> None:
    assert activity_of("pipeline.failed.merge_request").body == f"<p>Failed: {link('rspec', '/-/jobs/90222')}</p>"
    assert activity_of("pipeline.success").body == ""


def test_a_pipeline_with_warnings_names_the_jobs_that_failed() -> None:
    assert activity_of("pipeline.success.warnings").body == f"<p>Failed: {link('spelling', '/-/jobs/90223')}</p>"


def test_a_waiting_pipeline_names_its_manual_job() -> None:
    assert activity_of("pipeline.manual").body == f"<p>Waiting: {link('production', '/-/jobs/90251')}</p>"


def test_a_push_lists_its_commits_and_names_other_authors() -> None:
    own, foreign = activity_of("push").body, activity_of("push.other_author").body

    assert own.count("<li>") == 2
    assert own.endswith(f"<li>{link('045d203', f'/-/commit/{SHA}')} Round as the bank does</li></ul>")
    assert foreign.endswith(" Say &lt;what&gt; is in the basket, Ines Rao</li></ul>")


def test_a_push_of_many_commits_lists_ten_and_links_to_the_others() -> None:
    body = activity_of("push.many").body

    assert ">24 earlier commits</a>" in body
    assert body.count("<li>") == 11


def test_a_person_has_an_avatar_and_a_project_none() -> None:
    assert activity_of("issue.open").author.avatar == "https://gitlab.com/uploads/-/system/user/avatar/503/avatar.png"
    assert activity_of("milestone.close").author.avatar == ""


FACTS: list[tuple[str, dict[str, Any]]] = [
    ("issue.open", {"labels": ("bug",), "authors": ("mira-okafor",), "bots": ("person",)}),
    ("merge_request.open", {"branches": ("main",), "labels": ("bug",), "drafts": ("ready",)}),
    ("merge_request.open.draft", {"drafts": ("draft",)}),
    ("merge_request.open.bot", {"authors": ("project_4242_bot_1",), "bots": ("bot",)}),
    ("push", {"branches": ("main",), "authors": ("ines-rao",)}),
    ("push.bot", {"bots": ("bot",)}),
    ("pipeline.failed", {"branches": ("main",), "authors": ("ines-rao",)}),
    ("pipeline.failed.merge_request", {"branches": ("main",), "authors": ("ines-rao",)}),
    ("note.issue.confidential", {"confidential": ("confidential",)}),
    ("note.issue.internal", {"confidential": ("internal",)}),
    ("issue.open.confidential", {"confidential": ("confidential",)}),
    ("emoji.award.note.internal", {"confidential": ("internal",)}),
]


@pytest.mark.parametrize(("name", "facts"), FACTS)
def test_the_event_has_the_facts_for_the_filters(name: str, facts: dict[str, Any]) -> None:
    actual = read(name).facts

    assert actual == {**actual, **facts}


ABSENT = [
    ("issue.open", "branches"),
    ("issue.open", "drafts"),
    ("issue.open", "confidential"),
    ("note.issue", "confidential"),
    ("pipeline.success.tag", "branches"),
    ("pipeline.success.merge_request", "labels"),
    ("tag_push.created", "branches"),
    # GitLab does not say who did it, so rules on people do not apply.
    ("milestone.close", "authors"),
    ("release.create", "bots"),
    ("user_add_to_team", "authors"),
]


@pytest.mark.parametrize(("name", "rule"), ABSENT)
def test_an_event_without_a_fact_is_not_affected_by_its_rule(name: str, rule: str) -> None:
    assert rule not in read(name).facts
