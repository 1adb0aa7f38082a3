"""The main use on real input: from "Add" in a flow to threads in its inbox, and to the end of the integration.

The tests of this module depend on each other and run in this order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass

import pytest
import requests

from demo import connect
from demo.replay import DAY
from demo.visitor import Page, Visitor
from tests.stack import Stack, until

from .flow import Flow

pytestmark = pytest.mark.loop


@dataclass
class Walk:
    """What one test passes on to the next."""

    stack: Stack
    visitor: Visitor
    flow: Flow
    address: str = ""
    secret: str = ""
    integration: str = ""

    @property
    def hook(self) -> str:
        return connect.hook_id(self.address)

    def deliver(self, event: str, payload: dict[str, object], delivery: str, secret: str = "") -> requests.Response:
        body = json.dumps(payload).encode()
        signature = hmac.new((secret or self.secret).encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        return requests.post(self.address, data=body, headers=headers, timeout=30)

    def replay(self) -> str:
        """Send a recorded day of GitHub to the webhook. Returns the output of the command."""
        return self.stack.manage("replay", self.hook, str(DAY)).stdout


@pytest.fixture(scope="module")
def walk(stack: Stack) -> Walk:
    visitor = Visitor()
    connect.sign_in(visitor, stack.env)
    return Walk(stack, visitor, Flow(stack))


PING = {"zen": "Keep it logically awesome.", "hook_id": 1, "sender": {"login": "ines-rao", "type": "User"}}


def test_person_connects_a_repository_from_the_flow(walk: Walk) -> None:
    visitor = walk.visitor
    visitor.open(f"{walk.stack.flowdock}/app/acme/main/settings")
    visitor.follow("Add Flowdock Bridge")
    visitor.send("Allow")
    visitor.send("Continue", service="github", origin="octo/hello", preset="everything")

    confirmation = visitor.page.text
    assert "octo/hello" in confirmation
    assert "Main" in confirmation
    assert "Acme" in confirmation
    assert walk.flow.sources() == [], "nothing may exist before the person confirms"

    done = visitor.send("Connect octo/hello to Main")

    walk.address, walk.secret = done.inputs["address"], done.inputs["secret"]
    walk.integration = re.sub(r"connected/$", "", done.url)
    assert walk.address.startswith(f"{walk.stack.bridge}/hooks/")
    assert "Waiting for the first event" in done.text
    assert [source["name"] for source in walk.flow.sources()] == ["octo/hello"]


def test_page_reports_success_at_the_first_event(walk: Walk) -> None:
    assert walk.deliver("ping", PING, "ping-1").status_code == 202

    page = walk.visitor.open(f"{walk.integration}connected/")

    assert "It works." in page.text


def test_unsigned_and_unreadable_requests_are_refused(walk: Walk) -> None:
    assert walk.deliver("ping", PING, "ping-2", secret="another").status_code == 403
    assert walk.deliver("ping", PING, "ping-1").status_code == 200
    assert requests.get(walk.address, timeout=30).status_code == 405
    assert requests.post(f"{walk.stack.bridge}/hooks/none-such-hook/", timeout=30).status_code == 404
    assert walk.deliver("issues", {"action": 7}, "odd-1").status_code == 400


def test_recorded_day_reaches_the_inbox_as_threads(walk: Walk) -> None:
    report = walk.replay()

    assert "refused" not in report
    threads = until(lambda: _settled(walk), "the inbox to hold the whole day")
    merged = threads["Greet people in their own language"]
    assert merged["status"] == {"value": "merged", "color": "purple"}
    assert {"Branch", "Reviewers"} <= {field["label"] for field in merged["fields"]}
    told = walk.flow.messages(merged)
    titles = [re.sub(r"<[^>]+>", "", message["title"]) for message in told]
    assert titles[0].startswith("opened the pull request")
    assert titles[-1].startswith("merged the pull request")
    assert {message["event"] for message in told} == {"activity", "discussion"}
    assert [message["id"] for message in told] == sorted(message["id"] for message in told)
    assert all(message["author"]["name"] for message in told)


def _settled(walk: Walk) -> dict[str, dict[str, object]] | None:
    """The flow's threads, after the outbox is empty."""
    waiting = walk.stack.manage("deliver_activities", "--dry-run").stdout
    return walk.flow.threads() if waiting.startswith("0 ") else None


def test_event_is_in_the_inbox_within_a_second(walk: Walk) -> None:
    payload = json.loads(next(DAY.glob("*issues.opened*.json")).read_text())
    payload["issue"].update(number=4711, title="Measured from hook to inbox")
    before = time.monotonic()

    assert walk.deliver("issues", payload, "measured-1").status_code == 202
    until(lambda: "Measured from hook to inbox" in walk.flow.threads(), "the thread", patience=10)

    # Enough for a slow machine, but not for a worker that sleeps between polls.
    assert time.monotonic() - before < 5


def test_filters_are_changed_from_the_flow_and_the_log_names_the_rule(walk: Walk) -> None:
    visitor = walk.visitor
    visitor.open(f"{walk.stack.flowdock}/app/acme/main/settings")
    page = visitor.follow("Configure octo/hello")
    assert page.status == 200
    assert "octo/hello" in page.text

    visitor.send(
        "Save",
        boxes={"issues.labeled": False},
        **{"authors.none_of.new": "dependabot[bot]", "branches.any_of.new": "main, release/*"},
    )
    report = walk.replay()

    assert "dependabot[bot] is excluded" in report
    log = _whole_log(walk)
    assert "author dependabot[bot] is excluded" in log
    assert re.search(r"labeled is (excluded|not included)", log)
    assert re.search(r"branch \S+ is not included", log)


def _whole_log(walk: Walk) -> str:
    page: Page = walk.visitor.open(walk.integration)
    text = page.text
    while True:
        try:
            page = walk.visitor.follow("Older events")
        except LookupError:
            return text
        text += page.text


def test_people_outside_the_flow_see_nothing_of_it(walk: Walk) -> None:
    stranger = Visitor()
    connect.sign_in(stranger, walk.stack.env, account="other@example.com")
    stranger.open(f"{walk.stack.flowdock}/app/acme/lobby/settings")
    stranger.follow("Add Flowdock Bridge")
    stranger.send("Allow")
    assert stranger.page.status == 200, "lobby is open to both"

    for path in ("", "filters/", "connected/"):
        page = stranger.open(f"{walk.integration}{path}")
        assert page.status in {403, 404}
        assert "octo/hello" not in page.text
        assert walk.secret not in page.html


def test_only_staff_see_the_deliveries(walk: Walk) -> None:
    env = walk.stack.env
    env["DJANGO_SUPERUSER_PASSWORD"] = "a password of the test"
    walk.stack.manage("createsuperuser", "--noinput", "--username=staff", "--email=staff@example.com")
    staff = Visitor()
    staff.open(f"{walk.stack.bridge}/admin/")
    staff.send("Log in", username="staff", password="a password of the test")

    for model in ("origin", "integration", "event", "delivery"):
        page = staff.open(f"{walk.stack.bridge}/admin/integrations/{model}/")
        assert page.status == 200
        assert "octo/hello" in page.text
        assert walk.secret not in page.html
    assert "Log in" in Visitor().open(f"{walk.stack.bridge}/admin/integrations/delivery/").text


def test_removing_the_source_in_flowdock_ends_the_integration(walk: Walk) -> None:
    visitor = walk.visitor
    visitor.open(f"{walk.stack.flowdock}/app/acme/main/settings")
    visitor.send("Remove octo/hello")
    assert walk.flow.sources() == []
    payload = json.loads(next(DAY.glob("*issues.opened*.json")).read_text())

    # The bridge notices it at its next post; then the webhook is no longer connected.
    walk.deliver("issues", payload, "after-removal-1")
    until(lambda: walk.deliver("issues", payload, "after-removal-2").status_code == 410, "the hook to be gone")

    assert "Removed" in visitor.open(walk.integration).text
    assert "Measured from hook to inbox" in walk.flow.threads(), "threads that are there stay"


def test_no_process_logged_an_error(walk: Walk) -> None:
    logs = walk.stack.logs()

    assert "Traceback" not in logs
    assert walk.secret not in logs


def test_every_process_stops_cleanly(walk: Walk) -> None:
    assert set(walk.stack.stop().values()) == {0}
