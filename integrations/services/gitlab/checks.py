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
    CheckResult,
    short_sha,
    titled_sha,
)
from integrations.services.wording import Entity, Link, Unposted, Wording, Words, paragraph

from . import threads
from .payload import GitLabPayload
from .people import display_name
from .wording import not_supported, worded

CI = Author("GitLab CI/CD")
MOST_JOBS = 5
RESULTS: Mapping[str, CheckResult] = {"success": PASSED, "failed": FAILED, "canceled": CANCELLED, "manual": WAITING}
WARNED = replace(PASSED, phrase="passed with warnings")


def pipeline(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    status = thing.text("status")
    if status not in RESULTS:
        return Unposted("only what came of a pipeline is posted")
    result = RESULTS[status]
    if result is PASSED and thing.maybe_text("source") == "parent_pipeline":
        return Unposted("it passed, and the pipeline that started it is posted as well")
    if result is PASSED and thing.maybe_text("detailed_status").endswith("with warnings"):
        result = WARNED
    name = shorten(thing.maybe_text("name"), 100) or "pipeline"
    url = thing.maybe_url("url") or payload.place.page(f"pipelines/{thing.number('id')}")
    title = Words(
        Link(f"{name} #{thing.number('id')}", url), f" {result.phrase}", took(result, payload, "object_attributes")
    )
    entity = _checked(payload) or _branch_pipeline(payload, thing, result, url)
    return worded(payload, f"pipeline.{result.name}", title, entity, joiner="for", body=_jobs(payload, result), by=CI)


def took(result: CheckResult, payload: GitLabPayload, prefix: str) -> str:
    return result.took(payload.seconds(f"{prefix}.duration"))


def _checked(payload: GitLabPayload) -> Entity | None:
    """The merge request whose pipeline it is, if it goes into this project."""
    if "merge_request" not in payload:
        return threads.numbered(payload, payload.text("object_attributes.ref"))
    thing = payload.object("merge_request")
    target, here = thing.maybe_number("target_project_id"), payload.maybe_number("project.id")
    return threads.merge_request(payload, thing) if target is None or here is None or target == here else None


def _branch_pipeline(payload: GitLabPayload, thing: Payload, result: CheckResult, url: str) -> Entity:
    sha = thing.maybe_text("sha")
    title = titled_sha(sha, payload.maybe_text("commit.message"))
    address = payload.link("commit.url") or payload.place.page(f"commit/{sha}")
    return threads.pipeline(
        payload,
        thing.text("ref"),
        result.status,
        is_tag=thing.flag("tag"),
        url=url,
        commit=Words(Link(title, address) if sha else ""),
        started_by=display_name(payload.object("user")) if "user" in payload else "",
    )


def _jobs(payload: GitLabPayload, result: CheckResult) -> str:
    """The jobs that made the pipeline fail, pass with warnings, or wait."""
    wanted = {"failed": "failed", "waiting": "manual"}.get(result.name, "failed" if result is WARNED else "")
    jobs = [
        Link(job.text("name"), payload.place.page(f"jobs/{job.number('id')}"))
        for job in payload.objects("builds")
        if job.maybe_text("status") == wanted and (result is not FAILED or not job.flag("allow_failure"))
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


def build(payload: GitLabPayload) -> Wording | Unposted:
    """A job. What fails is worth a line before its pipeline has come to an end; the rest the pipeline tells."""
    if payload.text("build_status") != "failed":
        return Unposted("its pipeline is posted as well, and only failed jobs by themselves")
    if payload.flag("build_allow_failure"):
        return Unposted("it is allowed to fail")
    number, ref = payload.number("build_id"), payload.text("ref")
    url = payload.place.page(f"jobs/{number}")
    reason = payload.maybe_text("build_failure_reason")
    why = "" if reason in NO_REASON else f" ({shorten(reason, 60).replace('_', ' ')})"
    time = FAILED.took(payload.seconds("build_duration"))
    title = Words("job ", Link(payload.text("build_name"), url), f" failed{time}{why}")
    sha = payload.maybe_text("sha")
    commit = Link(titled_sha(sha, payload.maybe_text("commit.message")), payload.place.page(f"commit/{sha}"))
    pipeline_number = payload.maybe_number("pipeline_id") or payload.maybe_number("commit.id")
    entity = threads.numbered(payload, ref) or threads.pipeline(
        payload,
        ref,
        FAILED.status,
        is_tag=payload.flag("tag"),
        url=payload.place.page(f"pipelines/{pipeline_number}") if pipeline_number else url,
        commit=Words(commit if sha else ""),
        started_by=display_name(payload.object("user")) if "user" in payload else "",
    )
    return worded(payload, "build.failed", title, entity, joiner="for", by=CI)


# By GitLab's status: the filter's word, what was done, whether it worked (None: the environment is as it was).
DEPLOYMENTS: Mapping[str, tuple[str, str, bool | None]] = {
    "success": ("passed", "deployed", True),
    "failed": ("failed", "failed to deploy", False),
    "canceled": ("cancelled", "cancelled deploying", None),
    "blocked": ("waiting", "waits for an approval to deploy", None),
    "approved": ("approved", "approved the deployment of", None),
    "rejected": ("approved", "rejected the deployment of", None),
}


def deployment(payload: GitLabPayload) -> Wording | Unposted:
    status = payload.text("status")
    if status in {"created", "running", "skipped"}:
        return Unposted("only what came of a deployment is posted")
    if status not in DEPLOYMENTS:
        return not_supported("deployment", status)
    event_type, verb, worked = DEPLOYMENTS[status]
    what = payload.maybe_text("ref") or short_sha(payload.maybe_text("short_sha")) or "it"
    where = Link(payload.text("environment"), payload.link("environment_external_url"))
    # The log of the job says why it failed.
    log = payload.link("deployable_url") if worked is False else ""
    title = Words(Link(verb, log), f" {what} to ", where)
    comment = paragraph(payload.maybe_text("approval.comment"))
    return worded(
        payload, f"deployment.{event_type}", title, threads.environment(payload, worked), joiner="for", body=comment
    )
