"""What machines found out and did: pipelines, jobs, deployments, worded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from integrations.activity import Author
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import (
    CANCELLED,
    FAILED,
    PASSED,
    WAITING,
    Outcome,
    short_sha,
    titled_sha,
)
from integrations.services.wording import Entity, Link, Told, Unposted, Words, paragraph

from . import threads
from .payload import Hook
from .people import called
from .wording import not_worded, told

CI = Author("GitLab CI/CD")
MOST_JOBS = 5
OUTCOMES: Mapping[str, Outcome] = {"success": PASSED, "failed": FAILED, "canceled": CANCELLED, "manual": WAITING}
WARNED = replace(PASSED, words="passed with warnings")


def pipeline(hook: Hook) -> Told | Unposted:
    thing = hook.attributes
    status = thing.text("status")
    if status not in OUTCOMES:
        return Unposted("only what came of a pipeline is posted")
    came = OUTCOMES[status]
    if came is PASSED and thing.maybe_text("source") == "parent_pipeline":
        return Unposted("it passed, and the pipeline that started it is posted as well")
    if came is PASSED and thing.maybe_text("detailed_status").endswith("with warnings"):
        came = WARNED
    name = shorten(thing.maybe_text("name"), 100) or "pipeline"
    url = thing.maybe_url("url") or hook.place.page(f"pipelines/{thing.number('id')}")
    did = Words(Link(f"{name} #{thing.number('id')}", url), f" {came.words}", took(came, hook, "object_attributes"))
    entity = _checked(hook) or _branch_pipeline(hook, thing, came, url)
    return told(hook, f"pipeline.{came.word}", did, entity, about="for", body=_jobs(hook, came), by=CI)


def took(came: Outcome, hook: Hook, prefix: str) -> str:
    return came.took(hook.seconds(f"{prefix}.duration"))


def _checked(hook: Hook) -> Entity | None:
    """The merge request whose pipeline it is, if it goes into this project."""
    if "merge_request" not in hook:
        return threads.numbered(hook, hook.text("object_attributes.ref"))
    thing = hook.object("merge_request")
    target, here = thing.maybe_number("target_project_id"), hook.maybe_number("project.id")
    return threads.merge_request(hook, thing) if target is None or here is None or target == here else None


def _branch_pipeline(hook: Hook, thing: Payload, came: Outcome, url: str) -> Entity:
    sha = thing.maybe_text("sha")
    title = titled_sha(sha, hook.maybe_text("commit.message"))
    address = hook.link("commit.url") or hook.place.page(f"commit/{sha}")
    return threads.pipeline(
        hook,
        thing.text("ref"),
        came.status,
        is_tag=thing.flag("tag"),
        url=url,
        commit=Words(Link(title, address) if sha else ""),
        started_by=called(hook.object("user")) if "user" in hook else "",
    )


def _jobs(hook: Hook, came: Outcome) -> str:
    """The jobs that made the pipeline fail, pass with warnings, or wait."""
    wanted = {"failed": "failed", "waiting": "manual"}.get(came.word, "failed" if came is WARNED else "")
    jobs = [
        Link(job.text("name"), hook.place.page(f"jobs/{job.number('id')}"))
        for job in hook.objects("builds")
        if job.maybe_text("status") == wanted and (came is not FAILED or not job.flag("allow_failure"))
    ]
    if not jobs:
        return ""
    named: list[str | Link] = [*jobs[:MOST_JOBS]]
    if more := len(jobs) - len(named):
        named.append(f"{more} more")
    listed = Words(f"{'Waiting' if wanted == 'manual' else 'Failed'}: ", *Words.listed(named, last=" and ").parts)
    return f"<p>{listed.html}</p>"


# GitLab's reasons in words; what is not here is said as it is: runner_system_failure, "runner system failure".
NO_REASON = {"", "unknown_failure", "script_failure"}


def build(hook: Hook) -> Told | Unposted:
    """A job. What fails is worth a line before its pipeline has come to an end; the rest the pipeline tells."""
    if hook.text("build_status") != "failed":
        return Unposted("its pipeline is posted as well, and only failed jobs by themselves")
    if hook.flag("build_allow_failure"):
        return Unposted("it is allowed to fail")
    number, ref = hook.number("build_id"), hook.text("ref")
    url = hook.place.page(f"jobs/{number}")
    reason = hook.maybe_text("build_failure_reason")
    why = "" if reason in NO_REASON else f" ({shorten(reason, 60).replace('_', ' ')})"
    time = FAILED.took(hook.seconds("build_duration"))
    did = Words("job ", Link(hook.text("build_name"), url), f" failed{time}{why}")
    sha = hook.maybe_text("sha")
    commit = Link(titled_sha(sha, hook.maybe_text("commit.message")), hook.place.page(f"commit/{sha}"))
    pipeline_number = hook.maybe_number("pipeline_id") or hook.maybe_number("commit.id")
    entity = threads.numbered(hook, ref) or threads.pipeline(
        hook,
        ref,
        FAILED.status,
        is_tag=hook.flag("tag"),
        url=hook.place.page(f"pipelines/{pipeline_number}") if pipeline_number else url,
        commit=Words(commit if sha else ""),
        started_by=called(hook.object("user")) if "user" in hook else "",
    )
    return told(hook, "build.failed", did, entity, about="for", by=CI)


# By GitLab's status: the filter's word, what was done, whether it worked (None: the environment is as it was).
DEPLOYMENTS: Mapping[str, tuple[str, str, bool | None]] = {
    "success": ("passed", "deployed", True),
    "failed": ("failed", "failed to deploy", False),
    "canceled": ("cancelled", "cancelled deploying", None),
    "blocked": ("waiting", "waits for an approval to deploy", None),
    "approved": ("approved", "approved the deployment of", None),
    "rejected": ("approved", "rejected the deployment of", None),
}


def deployment(hook: Hook) -> Told | Unposted:
    status = hook.text("status")
    if status in {"created", "running", "skipped"}:
        return Unposted("only what came of a deployment is posted")
    if status not in DEPLOYMENTS:
        return not_worded("deployment", status)
    word, verb, worked = DEPLOYMENTS[status]
    what = hook.maybe_text("ref") or short_sha(hook.maybe_text("short_sha")) or "it"
    where = Link(hook.text("environment"), hook.link("environment_external_url"))
    # The log of the job says why it failed.
    log = hook.link("deployable_url") if worked is False else ""
    did = Words(Link(verb, log), f" {what} to ", where)
    comment = paragraph(hook.maybe_text("approval.comment"))
    return told(hook, f"deployment.{word}", did, threads.environment(hook, worked), about="for", body=comment)
