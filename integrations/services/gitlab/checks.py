"""Wording of pipelines, jobs and deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from integrations.activity import Author
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import (
    CANCELLED,
    FAILED,
    LONGEST_NAME,
    PASSED,
    WAITING,
    CheckResult,
    short_sha,
    titled_sha,
)
from integrations.services.wording import Entity, Link, RichText, Unposted, Wording, paragraph

from . import threads
from .payload import GitLabPayload
from .people import display_name
from .wording import not_supported, worded

MOST_JOBS = 5
RESULTS: Mapping[str, CheckResult] = {"success": PASSED, "failed": FAILED, "canceled": CANCELLED, "manual": WAITING}
WARNED = replace(PASSED, phrase="passed with warnings")


def pipeline(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    status = thing.text("status")
    if status not in RESULTS:
        return Unposted("only finished pipelines are posted")
    result = RESULTS[status]
    if result is PASSED and thing.maybe_text("source") == "parent_pipeline":
        return Unposted("the pipeline passed, and the pipeline that started it is posted")
    if result is PASSED and thing.maybe_text("detailed_status").endswith("with warnings"):
        result = WARNED
    name, number = shorten(thing.maybe_text("name"), LONGEST_NAME // 2), thing.number("id")
    author = Author(f"Pipeline {name} #{number}" if name else f"Pipeline #{number}")
    url = thing.maybe_url("url") or payload.place.page(f"pipelines/{number}")
    title = RichText(Link(result.phrase, url), result.time_taken(payload.seconds("object_attributes.duration")))
    entity = _merge_request(payload) or _branch_pipeline(payload, thing, result, url)
    body = _jobs(payload, result)
    return worded(payload, f"pipeline.{result.name}", title, entity, joiner="for", body=body, by=author)


def _merge_request(payload: GitLabPayload) -> Entity | None:
    """The merge request that the pipeline belongs to, if its target is this project."""
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
        commit=RichText(Link(title, address) if sha else ""),
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
    line = RichText(f"{'Waiting' if wanted == 'manual' else 'Failed'}: ", *RichText.join(named, last=" and ").parts)
    return f"<p>{line.html}</p>"


# Reasons that explain nothing. Others are shown as GitLab names them: runner_system_failure, "runner system failure".
NO_REASON = {"", "unknown_failure", "script_failure"}


def build(payload: GitLabPayload) -> Wording | Unposted:
    """A job. A failed one is posted before its pipeline has finished; the result of others is the pipeline's."""
    if payload.text("build_status") != "failed":
        return Unposted("only failed jobs are posted; the result of the pipeline is posted as well")
    if payload.flag("build_allow_failure"):
        return Unposted("the job is allowed to fail")
    number, ref = payload.number("build_id"), payload.text("ref")
    url = payload.place.page(f"jobs/{number}")
    reason = payload.maybe_text("build_failure_reason")
    why = "" if reason in NO_REASON else f" ({shorten(reason, 60).replace('_', ' ')})"
    duration = FAILED.time_taken(payload.seconds("build_duration"))
    title = RichText(Link(FAILED.phrase, url), f"{duration}{why}")
    author = Author(shorten(f"Job {payload.text('build_name')}", LONGEST_NAME))
    sha = payload.maybe_text("sha")
    commit = Link(titled_sha(sha, payload.maybe_text("commit.message")), payload.place.page(f"commit/{sha}"))
    pipeline_number = payload.maybe_number("pipeline_id") or payload.maybe_number("commit.id")
    entity = threads.numbered(payload, ref) or threads.pipeline(
        payload,
        ref,
        FAILED.status,
        is_tag=payload.flag("tag"),
        url=payload.place.page(f"pipelines/{pipeline_number}") if pipeline_number else url,
        commit=RichText(commit if sha else ""),
        started_by=display_name(payload.object("user")) if "user" in payload else "",
    )
    return worded(payload, "build.failed", title, entity, joiner="for", by=author)


# By GitLab's status: the event type, the verb, and whether it succeeded (None: the environment did not change).
DEPLOYMENTS: Mapping[str, tuple[str, str, bool | None]] = {
    "success": ("passed", "deployed", True),
    "failed": ("failed", "failed to deploy", False),
    "canceled": ("cancelled", "canceled the deployment of", None),
    "blocked": ("waiting", "is waiting for approval to deploy", None),
    "approved": ("approved", "approved the deployment of", None),
    "rejected": ("approved", "rejected the deployment of", None),
}


def deployment(payload: GitLabPayload) -> Wording | Unposted:
    status = payload.text("status")
    if status in {"created", "running", "skipped"}:
        return Unposted("only finished deployments are posted")
    if status not in DEPLOYMENTS:
        return not_supported("deployment", status)
    event_type, verb, worked = DEPLOYMENTS[status]
    what = payload.maybe_text("ref") or short_sha(payload.maybe_text("short_sha")) or "it"
    where = Link(payload.text("environment"), payload.link("environment_external_url"))
    # The job's log says why it failed.
    log = payload.link("deployable_url") if worked is False else ""
    title = RichText(Link(verb, log), f" {what} to ", where)
    comment = paragraph(payload.maybe_text("approval.comment"))
    return worded(
        payload, f"deployment.{event_type}", title, threads.environment(payload, worked), joiner="for", body=comment
    )
