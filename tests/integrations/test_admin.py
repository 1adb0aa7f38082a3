"""The admin: staff see everything in one query a list, repair through actions, and never see a secret."""

import datetime as dt
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Delivery, Event, Integration, Origin, Worker

pytestmark = pytest.mark.django_db

SECRET, TOKEN = "fdb_hook-secret-of-the-test", "0123456789abcdef0123456789abcdef"
LISTS = ["origin", "integration", "event", "delivery"]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(
        get_user_model().objects.create_superuser("staff", "staff@example.com", "not needed"),
        backend="integrations.passwords.PasswordBackend",
    )
    return client


@pytest.fixture
def integration() -> Integration:
    origin = Origin.objects.create(service="github", name="octo/hello", secret=SECRET)
    return Integration.objects.create(
        origin=origin, name="octo/hello", flow_token=TOKEN, flowdock_id=7, flow_id="f-1", flow_name="Main"
    )


def delivery(integration: Integration, number: int = 1, **given: object) -> Delivery:
    event = Event.objects.create(
        origin=integration.origin,
        request_id=f"d-{number}",
        kind="issues",
        action="opened",
        actor="Ines Rao",
        summary="Ines Rao opened issue",
        subject="Emoji break the export",
        headers={"X-GitHub-Event": "issues"},
        body=b'{"title": "<script>alert(1)</script>"}',
    )
    return Delivery.objects.create(event=event, integration=integration, thread_id="issue:7", **given)


def act(staff: Client, model: str, action: str, *rows: Integration | Delivery) -> None:
    staff.post(
        reverse(f"admin:integrations_{model}_changelist"),
        {"action": action, "_selected_action": [row.pk for row in rows]},
    )


def test_first_page_shows_an_overview(staff: Client, integration: Integration) -> None:
    delivery(integration)
    integration.problem = "Flowdock refuses its token"
    integration.save(update_fields=["problem"])

    page = staff.get(reverse("admin:index")).content.decode()

    assert re.search(r"<dt>Events received</dt><dd>1</dd>", page)
    assert re.search(r"<dt>Waiting now</dt><dd><a [^>]+>1</a></dd>", page)
    assert "Flowdock refuses its token" in page


@pytest.mark.parametrize("model", LISTS)
def test_lists_take_the_same_queries_for_any_length(
    staff: Client, integration: Integration, model: str, django_assert_num_queries
) -> None:
    for number in range(20):
        delivery(integration, number)

    # The person, the count up to a cap, the rows.
    with django_assert_num_queries(4):
        page = staff.get(reverse(f"admin:integrations_{model}_changelist"))

    assert "octo/hello" in page.content.decode()


@pytest.mark.parametrize("model", LISTS)
def test_lists_and_details_show_no_secret(staff: Client, integration: Integration, model: str) -> None:
    row = {"origin": integration.origin, "integration": integration, "delivery": delivery(integration)}
    row["event"] = row["delivery"].event

    pages = [
        staff.get(reverse(f"admin:integrations_{model}_changelist")),
        staff.get(reverse(f"admin:integrations_{model}_change", args=[row[model].pk])),
    ]

    for page in pages:
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
        assert TOKEN not in page.content.decode()


def test_payload_is_shown_as_text(staff: Client, integration: Integration) -> None:
    event = delivery(integration).event

    page = staff.get(reverse("admin:integrations_event_change", args=[event.pk])).content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page


def test_nothing_can_be_added_edited_or_deleted(staff: Client, integration: Integration) -> None:
    change = reverse("admin:integrations_integration_change", args=[integration.pk])

    staff.post(change, {"name": "another name"})

    integration.refresh_from_db()
    assert integration.name == "octo/hello"
    assert staff.get(reverse("admin:integrations_integration_add")).status_code == 403
    assert staff.get(reverse("admin:integrations_integration_delete", args=[integration.pk])).status_code == 403


def test_failed_deliveries_can_be_retried_and_the_audit_log_names_the_user(
    staff: Client, integration: Integration
) -> None:
    failed = delivery(integration, state="failed", reason="title is missing", next_attempt_at=None)

    act(staff, "delivery", "retry", failed)

    failed.refresh_from_db()
    assert failed.state == "pending"
    assert failed.next_attempt_at <= timezone.now()
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("staff", str(failed.pk))


def test_delivery_deleted_during_a_retry_is_skipped(staff: Client, integration: Integration) -> None:
    failed = delivery(integration, state="failed", next_attempt_at=None)
    deleted = []

    def delete_before_the_update(execute, sql, *arguments):
        if not deleted and sql.startswith('UPDATE "integrations_delivery"'):
            deleted.append(failed)
            Delivery.objects.all().delete()
        return execute(sql, *arguments)

    with connection.execute_wrapper(delete_before_the_update):
        act(staff, "delivery", "retry", failed)

    assert deleted
    page = staff.get(reverse("admin:integrations_delivery_changelist")).content.decode()
    assert "1 delivery skipped: deleted in the meantime." in page
    assert not LogEntry.objects.exists()


def test_delivered_and_filtered_deliveries_are_not_sent_again(staff: Client, integration: Integration) -> None:
    posted = delivery(integration, 1, state="delivered", delivered_at=timezone.now(), next_attempt_at=None)
    filtered = delivery(integration, 2, state="filtered", next_attempt_at=None)

    act(staff, "delivery", "retry", posted, filtered)

    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered", "filtered"}


def test_waiting_deliveries_can_be_dropped(staff: Client, integration: Integration) -> None:
    waiting = delivery(integration)

    act(staff, "delivery", "drop", waiting)

    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == ("dropped", "dropped by staff")


def test_integration_can_be_paused_and_resumed(staff: Client, integration: Integration) -> None:
    act(staff, "integration", "pause", integration)
    integration.refresh_from_db()
    assert integration.state == Integration.State.PAUSED
    assert integration.paused_by.username == "staff"

    act(staff, "integration", "resume", integration)
    integration.refresh_from_db()
    assert integration.state == Integration.State.WAITING


@pytest.mark.parametrize("state", Integration.State.values)
def test_integrations_can_be_filtered_by_state(staff: Client, integration: Integration, state: str) -> None:
    now = timezone.now()
    columns = {
        "connecting": {"flow_token": ""},
        "waiting": {},
        "active": {"first_event_at": now},
        "attention": {"problem": "something"},
        "paused": {"paused_at": now, "problem": "something"},
        "removed": {"flow_token": "", "removed_at": now},
    }
    for number, (name, values) in enumerate(columns.items(), start=10):
        Integration.objects.create(
            origin=integration.origin,
            name=f"is {name}",
            **{"flow_token": TOKEN, "flowdock_id": number, "flow_id": f"f-{number}", **values},
        )
    integration.delete()

    page = staff.get(reverse("admin:integrations_integration_changelist"), {"state": state}).content.decode()

    assert re.findall(r">is (\w+)</a>", page) == [state]
    assert [each.state for each in Integration.objects.in_state(Integration.State(state))] == [state]


@pytest.mark.parametrize("model", LISTS)
def test_people_who_are_not_staff_have_no_access(client: Client, model: str) -> None:
    client.force_login(get_user_model().objects.create_user("ines"), backend="integrations.passwords.PasswordBackend")

    assert client.get(reverse(f"admin:integrations_{model}_changelist")).status_code == 302


def test_own_app_origin_shows_no_webhook_address(staff: Client, integration: Integration) -> None:
    own = Origin.objects.create(service="polls", name="All polls")

    for origin, is_shown in ((integration.origin, True), (own, False)):
        page = staff.get(reverse("admin:integrations_origin_change", args=[origin.pk])).content.decode()
        assert (origin.hook_url in page) is is_shown
        assert ("none: this service sends no webhooks" in page) is not is_shown


def test_overview_counts_accepted_events_that_no_worker_has_checked(staff: Client, integration: Integration) -> None:
    event = delivery(integration, state="unposted").event
    assert "Awaiting filters" not in staff.get("/admin/").content.decode()

    Event.objects.update(awaits_decision=True)

    page = staff.get("/admin/").content.decode()
    assert "Awaiting filters" in page
    found = staff.get("/admin/integrations/event/?awaits_decision__exact=1").content.decode()
    assert f"/admin/integrations/event/{event.pk}/change/" in found


def test_workers_are_listed_with_when_they_were_last_seen(staff: Client) -> None:
    now = timezone.now()
    Worker.objects.create(name="one:1", started_at=now, seen_at=now)
    an_hour_ago = now - dt.timedelta(hours=1)
    Worker.objects.create(name="two:2", started_at=an_hour_ago, seen_at=an_hour_ago, is_breaker_open=True)

    page = staff.get(reverse("admin:integrations_worker_changelist")).content.decode()
    detail = staff.get(reverse("admin:integrations_worker_change", args=[Worker.objects.get(name="two:2").pk]))

    assert [icon in page for icon in ("icon-yes", "icon-no")] == [True, True]
    assert "open: Flowdock does not respond" in page
    assert detail.status_code == 200
