"""Wording of checks, workflow runs, commit statuses and deployments."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.activity import Author, Status
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import (
    CANCELLED,
    DEPLOYED,
    DEPLOYMENT_FAILED,
    FAILED,
    LONGEST_NAME,
    PASSED,
    WAITING,
    CheckResult,
    seconds_between,
    short_sha,
    titled_sha,
)
from integrations.services.wording import (
    Entity,
    Link,
    RichText,
    Unposted,
    Wording,
    paragraph,
    pluralize,
)

from . import threads
from .people import author, display_name, login, person_facts
from .wording import not_supported

ACTIONS = "github-actions"
ONLY_FINISHED_DEPLOYMENTS = "only finished deployments are posted"

RESULTS: Mapping[str, CheckResult] = {
    "success": PASSED,
    "failure": FAILED,
    "error": FAILED,
    "timed_out": CheckResult("failed", "timed out", Status("timed out", "red"), "after"),
    "startup_failure": CheckResult("failed", "could not start", Status("failed", "red")),
    "action_required": WAITING,
    "cancelled": CANCELLED,
}


def result_of(conclusion: str) -> CheckResult | Unposted:
    if conclusion in RESULTS:
        return RESULTS[conclusion]
    if not conclusion:
        return Unposted("the conclusion is missing")
    return Unposted(f"checks with the conclusion {conclusion} are not posted")


def check_author(name: str, avatar: str = "") -> Author:
    """The check itself is the author, so that the post reads as a sentence: "Check lint failed after 48 s"."""
    return Author(shorten(name, LONGEST_NAME), avatar=avatar)


def app_author(app: Payload) -> Author:
    return Author(shorten(app.maybe_text("name"), LONGEST_NAME) or "GitHub", avatar=app.maybe_url("owner.avatar_url"))


def pusher_facts(payload: Payload, app_slug: str) -> dict[str, tuple[str, ...] | None]:
    """Facts of the person whose work was checked. If GitHub names only the app, rules on people do not apply."""
    if login(payload) == f"{app_slug}[bot]":
        return {"authors": None, "bots": None}
    return {**person_facts(payload)}


def check_run(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action != "completed":
        return Unposted("only completed checks are posted")
    run = payload.object("check_run")
    slug, result = run.maybe_text("app.slug"), result_of(run.maybe_text("conclusion"))
    if isinstance(result, Unposted):
        return result
    branch, sha = run.maybe_text("check_suite.head_branch"), run.text("head_sha")
    if threads.is_queue(branch):
        return threads.MERGE_QUEUE
    if slug == ACTIONS and result.name == "passed":
        return Unposted("the check passed, and the result of its workflow run is posted")
    duration = result.time_taken(seconds_between(run.maybe_time("started_at"), run.maybe_time("completed_at")))
    ended = RichText(Link(result.phrase, run.maybe_url("html_url")), duration)
    entity = _checked_entity(payload, run, branch, sha)
    title, joiner = _with_commit(payload, ended, entity, sha)
    return Wording(
        event_type=f"check_run.{result.name}",
        title=title,
        entity=entity,
        author=check_author(f"Check {run.text('name')}", run.maybe_url("app.owner.avatar_url")),
        joiner=joiner,
        body=paragraph(run.maybe_text("output.title")),
        facts=pusher_facts(payload, slug),
    )


def _checked_entity(payload: Payload, thing: Payload, branch: str, sha: str) -> Entity:
    """What was checked: the pull request if GitHub names it, else the branch, or for a fork the commit."""
    if pull_request := threads.mentioned_pull_request(payload, thing.objects("pull_requests")):
        return pull_request
    return threads.branch(payload, branch) if branch else threads.commit(payload, sha)


def _with_commit(payload: Payload, title: RichText, entity: Entity, sha: str) -> tuple[RichText, str]:
    """`title` with its joiner. In a branch's thread, which has many commits, the title names the commit."""
    if not entity.thread_id.startswith("branch:"):
        return title, "for"
    return RichText(*title.parts, " for ", Link(short_sha(sha), threads.page(payload, f"commit/{sha}"))), "in"


def check_suite(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action != "completed":
        return Unposted("only completed check suites are posted")
    suite = payload.object("check_suite")
    slug, count = suite.maybe_text("app.slug"), suite.maybe_number("latest_check_runs_count")
    result = result_of(suite.maybe_text("conclusion"))
    if isinstance(result, Unposted):
        return result
    branch, sha = suite.maybe_text("head_branch"), suite.text("head_sha")
    if threads.is_queue(branch):
        return threads.MERGE_QUEUE
    if slug == ACTIONS:
        return Unposted("GitHub sends a separate event for the workflow run")
    if count == 1:
        return Unposted("the suite has one check, which is posted on its own")
    checks = pluralize(count, "check") if count else "checks"
    ended = RichText(f"ran {checks}; {'all' if result.name == 'passed' else 'not all'} passed")
    entity = _checked_entity(payload, suite, branch, sha)
    title, joiner = _with_commit(payload, ended, entity, sha)
    return Wording(
        event_type=f"check_suite.{result.name}",
        title=title,
        entity=entity,
        author=app_author(suite.object("app")) if "app" in suite else Author("GitHub"),
        joiner=joiner,
        facts=pusher_facts(payload, slug),
    )


def workflow_run(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action != "completed":
        return Unposted("only completed workflow runs are posted")
    run = payload.object("workflow_run")
    result = result_of(run.maybe_text("conclusion"))
    if isinstance(result, Unposted):
        return result
    if threads.is_queue(run.maybe_text("head_branch")):
        return threads.MERGE_QUEUE
    name = run.maybe_text("name") or payload.maybe_text("workflow.name") or "Workflow"
    name = f"{shorten(name, 100)} #{run.number('run_number')}"
    attempt = run.maybe_number("run_attempt") or 1
    again = f" on attempt {attempt}" if attempt > 1 else ""
    duration = result.time_taken(seconds_between(run.maybe_time("run_started_at"), run.maybe_time("updated_at")))
    entity = threads.mentioned_pull_request(payload, run.objects("pull_requests")) or _workflow(
        payload, run, name, result.status
    )
    return Wording(
        event_type=f"workflow_run.{result.name}",
        title=RichText(Link(result.phrase, run.url("html_url")), f"{again}{duration}"),
        entity=entity,
        author=check_author(f"Workflow {name}"),
        joiner="for",
        facts=person_facts(payload),
    )


def _workflow(payload: Payload, run: Payload, name: str, status: Status) -> Entity:
    """A workflow on a branch; its newest run gives the status. A fork's branch is prefixed with its owner."""
    branch = run.maybe_text("head_branch") or short_sha(run.text("head_sha"))
    is_fork = run.maybe_number("head_repository.id") != payload.maybe_number("repository.id")
    if is_fork and (owner := run.maybe_text("head_repository.owner.login")):
        branch = f"{owner}:{branch}"
    file = run.maybe_text("path").rpartition("/")[2].partition("@")[0] or str(run.number("workflow_id"))
    title = f"{name} on {branch}"
    sha = run.text("head_sha")
    url = threads.page(payload, f"commit/{sha}")
    return Entity.of(
        f"workflow:{file}:{branch}",
        branch,
        run.url("html_url"),
        ("Branch", branch),
        ("Commit", RichText(Link(titled_sha(sha, run.maybe_text("head_commit.message")), url))),
        (
            "Started by",
            display_name(run, "triggering_actor") if "triggering_actor" in run else display_name(payload),
        ),
        thread_title=title,
        status=status,
        facts={} if is_fork else {"branches": (branch,)},
    )


def status(payload: Payload) -> Wording | Unposted:
    state = payload.text("state")
    if state == "pending":
        return Unposted("only completed checks are posted")
    result = result_of(state)
    if isinstance(result, Unposted):
        return result
    sha = payload.text("sha")
    named = {branch.text("name"): branch.maybe_text("commit.sha") for branch in payload.objects("branches")}
    branches = [name for name in named if not threads.is_queue(name)]
    if named and not branches:
        return threads.MERGE_QUEUE
    heads = [name for name in branches if named[name] == sha]
    main = payload.maybe_text("repository.default_branch")
    nearest = sorted(heads or branches, key=lambda name: name != main)
    if nearest:
        entity = threads.branch(payload, nearest[0])
    else:
        entity = threads.commit(payload, sha, payload.maybe_text("commit.commit.message"))
    people = person_facts(payload, "commit.author") if payload.maybe_text("commit.author.login") else {}
    check = Link(payload.text("context"), payload.maybe_text("target_url"))
    reported = RichText("reported ", check, f" as {result.name}")
    title, joiner = _with_commit(payload, reported, entity, sha)
    return Wording(
        event_type=f"status.{result.name}",
        title=title,
        entity=entity,
        author=author(payload),
        joiner=joiner,
        body=paragraph(payload.maybe_text("description")),
        facts={**people, "branches": tuple(branches) or None},
    )


DEPLOYMENT_UNPOSTED = {
    "inactive": "a later deployment replaced it",
    "in_progress": ONLY_FINISHED_DEPLOYMENTS,
    "queued": ONLY_FINISHED_DEPLOYMENTS,
    "pending": ONLY_FINISHED_DEPLOYMENTS,
    "waiting": ONLY_FINISHED_DEPLOYMENTS,
}


def deployment_status(payload: Payload) -> Wording | Unposted:
    state = payload.text("deployment_status.state")
    if state in DEPLOYMENT_UNPOSTED:
        return Unposted(DEPLOYMENT_UNPOSTED[state])
    if state not in {"success", "failure", "error"}:
        return not_supported("deployment_status", state)
    deployment = payload.object("deployment")
    environment = deployment.text("environment")
    ref, sha = deployment.text("ref"), deployment.text("sha")
    what = short_sha(ref) if ref == sha else ref
    where = Link(environment, payload.maybe_text("deployment_status.environment_url"))
    worked = state == "success"
    job = payload.maybe_text("deployment_status.log_url") or payload.maybe_text("deployment_status.target_url")
    verb = "deployed" if worked else Link("failed to deploy", job)
    title = RichText(verb, f" {what} to ", where)
    mentions = [
        mention for path in ("workflow_run", "check_run") for mention in payload.objects(f"{path}.pull_requests")
    ]
    return Wording(
        event_type=f"deployment_status.{'passed' if worked else 'failed'}",
        title=title,
        entity=threads.mentioned_pull_request(payload, mentions) or _environment(payload, deployment, worked),
        author=author(payload, "deployment_status.creator" if "deployment_status.creator" in payload else "sender"),
        joiner="for",
        body=paragraph(payload.maybe_text("deployment_status.description")),
        facts=person_facts(payload),
    )


def _environment(payload: Payload, deployment: Payload, worked: bool) -> Entity:
    environment, ref, sha = deployment.text("environment"), deployment.text("ref"), deployment.text("sha")
    title = f"{threads.repository_name(payload)}: {environment}"
    return Entity.of(
        f"environment:{environment}",
        threads.repository_name(payload),
        f"{threads.repository_url(payload)}/deployments",
        ("Branch or tag", "" if ref == sha else ref),
        ("Commit", RichText(Link(short_sha(sha), threads.page(payload, f"commit/{sha}")))),
        thread_title=title,
        status=DEPLOYED if worked else DEPLOYMENT_FAILED,
    )
