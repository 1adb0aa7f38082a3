"""What a webhook is answered, and what is in the database then."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.deciding import decide_waiting
from integrations.models import Delivery, Event, Integration, Origin

from .conftest import issue


def test_signed_webhook_request_is_stored_with_a_delivery_for_the_flow(send, integration, log):
    answer = send(integration.origin, issue(7))

    assert answer.status_code == 202
    assert log() == [("pending", "issue:7")]
    event = Event.objects.get()
    assert (event.kind, event.action, event.actor) == ("issues", "opened", "lea")
    assert json.loads(event.body) == issue(7)


def test_event_gets_a_delivery_for_every_flow_of_the_origin(send, connect, integration):
    other = connect(origin=integration.origin)
    connect("octo/elsewhere")

    send(integration.origin, issue())

    assert set(Delivery.objects.values_list("integration", flat=True)) == {integration.pk, other.pk}


def test_repeated_webhook_request_is_stored_once(send, integration):
    first = send(integration.origin, issue(), request_id="11-22")
    again = send(integration.origin, issue(), request_id="11-22")

    assert (first.status_code, again.status_code) == (202, 200)
    assert Event.objects.count() == Delivery.objects.count() == 1


DATED = {"issue": issue()["issue"] | {"updated_at": "2026-01-15T14:31:09Z"}}


def test_dated_body_is_stored_once_whatever_its_id_or_kind(send, integration):
    """GitHub signs the body only: whoever has seen it could else have it posted again and again."""
    first = send(integration.origin, issue(**DATED))
    again = send(integration.origin, issue(**DATED), request_id="another")
    of_another_kind = send(integration.origin, issue(**DATED), kind="star", request_id="a-third")

    assert [answer.status_code for answer in (first, again, of_another_kind)] == [202, 200, 200]
    assert Event.objects.count() == Delivery.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("ping", {"zen": "Hm.", "hook": {"updated_at": "2026-01-15T14:31:09Z"}, "hook_id": 1}),
        ("issues", issue()),
        ("member", {"action": "added", "member": {"login": "ines"}, "repository": {"pushed_at": 1768471200}}),
        ("star", {"action": "deleted", "starred_at": None, "repository": {"updated_at": "2026-01-15T14:31:09Z"}}),
        # Done, undone and done again: GitHub does not move the time.
        ("issues", issue() | DATED | {"action": "pinned"}),
        ("a_kind", {"action": "resolved", "thread": {}, "pull_request": {"updated_at": "2026-01-15T14:31:09Z"}}),
        ("a_kind", {"action": "labeled", "discussion": {"updated_at": "2026-01-15T14:31:09Z"}}),
    ],
)
def test_body_without_a_time_may_be_sent_again_under_another_id(send, integration, kind, payload):
    person = {"sender": issue()["sender"], "repository": issue()["repository"] | payload.get("repository", {})}

    answers = [send(integration.origin, payload | person, kind=kind).status_code for _ in range(2)]

    assert answers == [202, 202]


@pytest.mark.parametrize(
    ("kind", "dated"),
    [
        ("issues", DATED),
        ("push", {"ref": "refs/heads/main", "repository": issue()["repository"] | {"pushed_at": 1768471200}}),
        ("star", {"action": "created", "starred_at": "2026-01-15T14:31:09Z"}),
        ("workflow_run", {"workflow_run": {"created_at": "2026-01-15T14:31:09Z"}}),
    ],
)
def test_dated_events_are_recognized_by_their_body(kind, dated):
    from integrations.services.base import Payload
    from integrations.services.github import is_dated

    assert is_dated(Payload(issue() | dated))
    assert not is_dated(Payload(issue()))


def test_same_dated_body_is_accepted_at_another_origin(send, connect, integration):
    other = connect("octo/other")

    assert send(integration.origin, issue(**DATED)).status_code == 202
    assert send(other.origin, issue(**DATED)).status_code == 202


def test_request_ids_of_different_origins_may_be_equal(send, connect, integration):
    send(integration.origin, issue(), request_id="11-22")

    assert send(connect("octo/other").origin, issue(), request_id="11-22").status_code == 202


def test_request_id_is_stored_only_if_the_signature_is_right(send, integration):
    assert send(integration.origin, issue(), request_id="11-22", secret="guessed").status_code == 403
    assert send(integration.origin, b"{", request_id="11-22").status_code == 400

    assert send(integration.origin, issue(), request_id="11-22").status_code == 202


@pytest.mark.parametrize(
    "headers", [{"X-Hub-Signature-256": ""}, {"X-Hub-Signature-256": "sha256=ünsigned"}, {"X-Hub-Signature-256": "x"}]
)
def test_webhook_request_with_a_wrong_signature_is_refused(send, integration, headers):
    answer = send(integration.origin, issue(), headers=headers)

    assert answer.status_code == 403
    assert not Event.objects.exists()
    assert integration.origin.name not in answer.content.decode()


def test_previous_secret_is_valid_for_an_hour_after_a_rotation(send, integration, pass_time):
    origin = integration.origin
    before = origin.secret
    origin.rotate_secret()

    assert send(origin, issue(1), secret=before).status_code == 202
    assert send(origin, issue(2)).status_code == 202
    pass_time(3601)
    assert send(origin, issue(3), secret=before).status_code == 403


def test_unreadable_body_is_answered_400_with_the_reason(send, integration):
    answer = send(integration.origin, {"action": "opened", "issue": []})

    assert answer.status_code == 400
    assert "issue" in answer.content.decode()
    assert not Event.objects.exists()


def test_unknown_webhook_address_is_answered_404(client, db):
    for hook_id in ("aaaa-bbbb-cccc", "a\0b", "ä" * 30, "'--"):
        assert client.post(f"/hooks/{hook_id}/", b"{}", content_type="application/json").status_code == 404


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head", "options"])
def test_webhook_address_accepts_post_only(client, integration, method):
    answer = getattr(client, method)(f"/hooks/{integration.origin.hook_id}/")

    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


def test_body_over_the_size_limit_is_refused(send, integration, settings):
    padded = issue(padding="")
    settings.HOOK_MAX_BYTES = len(json.dumps(padded)) + 100
    at_limit, over = issue(padding="x" * 100), issue(padding="x" * 101)

    assert send(integration.origin, over).status_code == 413
    assert send(integration.origin, at_limit).status_code == 202


def test_webhook_accepts_bodies_over_the_limit_of_forms(send, integration, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    assert send(integration.origin, issue(padding="x" * 3_000_000)).status_code == 202


def test_content_length_over_the_limit_is_refused_before_the_body_is_read(client, integration, settings):
    settings.HOOK_MAX_BYTES = 100

    answer = client.generic("POST", f"/hooks/{integration.origin.hook_id}/", b"", CONTENT_LENGTH="101")

    assert answer.status_code == 413


def test_content_length_that_is_not_a_number_is_ignored(client, integration):
    answer = client.generic("POST", f"/hooks/{integration.origin.hook_id}/", b"{}", CONTENT_LENGTH="many")

    assert answer.status_code == 403


def test_webhook_request_of_a_disconnected_origin_is_answered_410(send, integration):
    integration.remove()

    assert send(integration.origin, issue()).status_code == 410
    assert send(integration.origin, issue(), secret="guessed").status_code == 403
    assert not Event.objects.exists()


def test_integration_without_a_token_receives_nothing(send, connect, integration):
    connect(origin=integration.origin, flow_token="", flowdock_id=None)

    send(integration.origin, issue())

    assert Delivery.objects.get().integration == integration


def test_time_of_the_first_event_is_stored(send, integration, pass_time):
    assert integration.state == Integration.State.WAITING
    send(integration.origin, issue(1))
    first = Event.objects.get().received_at
    pass_time(60)
    send(integration.origin, issue(2))

    integration.refresh_from_db()
    assert integration.first_event_at == first
    assert integration.state == Integration.State.ACTIVE


def test_filtered_delivery_has_its_reason_and_rule(send, connect, integration):
    integration.filters = {"events": {"none_of": ["issues.opened"]}}
    integration.save()
    other = connect(origin=integration.origin)

    send(integration.origin, issue())

    refused = Delivery.objects.get(integration=integration)
    assert (refused.state, refused.rule, refused.next_attempt_at) == ("filtered", "events", None)
    assert "excluded" in refused.reason
    assert Delivery.objects.get(integration=other).state == "pending"


def test_event_of_an_unsupported_kind_is_stored_with_the_reason(send, integration):
    answer = send(integration.origin, issue(), kind="ping")

    assert answer.status_code == 202
    delivery = Delivery.objects.get()
    assert delivery.state == "unposted"
    assert delivery.reason


def test_one_delivery_of_each_thread_is_scheduled_and_blocks_the_others(send, integration):
    for number in (1, 2, 1, 1):
        send(integration.origin, issue(number))

    times = Delivery.objects.order_by("id").values_list("next_attempt_at", flat=True)
    assert [time is not None for time in times] == [True, True, False, False]


def test_database_refuses_to_schedule_two_deliveries_of_a_thread(send, integration):
    send(integration.origin, issue(1))
    send(integration.origin, issue(1))

    with pytest.raises(IntegrityError):
        Delivery.objects.blocked().update(next_attempt_at=timezone.now())


def test_headers_are_stored_without_secrets(send, integration):
    send(
        integration.origin,
        issue(),
        headers={"Authorization": "Basic aaaa", "Cookie": "a=b", "X-Echo": f"<{integration.origin.secret}>"},
    )

    headers = Event.objects.get().headers
    assert headers["X-Github-Event"] == "issues"
    assert headers["X-Hub-Signature-256"] == headers["Authorization"] == headers["Cookie"] == "hidden"
    assert integration.origin.secret not in json.dumps(headers)


def test_stored_event_can_be_read_again(send, integration):
    send(integration.origin, issue(7))

    read = Event.objects.get().read_again()

    assert read.activity is not None
    assert read.activity.thread_id == "issue:7"
    assert read.facts


def test_unstorable_characters_are_replaced(send, integration):
    answer = send(integration.origin, json.dumps(issue(title="a\0b \ud800 c")).encode())

    assert answer.status_code == 202
    event = Event.objects.get()
    assert "\0" not in event.subject
    event.activity["thread"]["title"].encode()


def test_secrets_are_not_logged(send, integration, caplog):
    caplog.set_level("DEBUG")
    send(integration.origin, issue(), secret="guessed")
    send(integration.origin, b"{")
    send(integration.origin, issue())

    assert integration.origin.secret not in caplog.text
    assert integration.flow_token not in caplog.text


def test_accepting_takes_two_queries_however_many_flows(send, connect, integration, django_assert_num_queries):
    for number in range(2):
        with django_assert_num_queries(2):  # the origin; the event, which on PostgreSQL also notifies the workers
            assert send(integration.origin, issue(number), decide=False).status_code == 202
        for _ in range(9 if number == 0 else 0):
            connect(origin=integration.origin)

    assert not Delivery.objects.exists()
    decide_waiting()
    assert Delivery.objects.count() == 2 * 10


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(list(issue())), st.none() | st.integers() | st.text() | st.just(issue()["issue"]), max_size=5
    ).map(lambda changes: json.dumps(issue() | changes).encode()),
    kind=st.sampled_from(["issues", "push", "pull_request", "ping", "check_run", "nonsense"])
    | st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=20),
    request_id=st.uuids().map(str) | st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=300),
    is_signed=st.booleans(),
)
def test_arbitrary_request_is_stored_or_refused_without_an_error(send, integration, body, kind, request_id, is_signed):
    before = Event.objects.count()

    answer = send(
        integration.origin,
        body,
        kind=kind,
        request_id=request_id,
        secret=None if is_signed else "guessed",
    )

    assert answer.status_code in ({202, 200, 400} if is_signed else {403})
    assert Event.objects.count() - before == (answer.status_code == 202)


# When nothing can be kept


def answered_503(send, origin: Origin, caplog) -> str:
    """The one line that such an answer leaves in the log."""
    caplog.clear()
    assert send(origin, issue()).status_code == 503
    (record,) = caplog.records
    assert record.exc_info is None
    return record.getMessage()


@contextlib.contextmanager
def failing(error: Exception) -> Iterator[None]:
    def fail(*arguments: object) -> None:
        raise error

    with connection.execute_wrapper(fail):
        yield


def test_unavailable_database_is_answered_503_and_logged_in_one_line(send, integration, caplog):
    with failing(OperationalError("connection to server failed: timeout\nIs it running?")):
        line = answered_503(send, integration.origin, caplog)

    assert line.endswith("the database is not available: connection to server failed: timeout")
    assert integration.origin.hook_id in line


def test_closed_database_connection_is_reported_as_unavailable(send, integration, caplog):
    with failing(InterfaceError("connection already closed")):
        assert "not available: connection already closed" in answered_503(send, integration.origin, caplog)


def test_unmigrated_database_is_reported_as_such(send, integration, caplog):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE integrations_event RENAME TO elsewhere")

    line = answered_503(send, integration.origin, caplog)

    assert "run `manage.py migrate`" in line
    assert "not available" not in line


def test_webhook_request_is_answered_503_if_its_secret_cannot_be_decrypted(send, integration, caplog, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    assert "FIELD_KEYS" in answered_503(send, integration.origin, caplog)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL uses NOTIFY instead of pipes")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trouble", ["the folder", "a pipe", "a pipe that nobody reads"])
def test_accepted_webhook_is_answered_202_even_if_no_worker_can_be_notified(
    send, integration, settings, tmp_path, caplog, monkeypatch, trouble
):
    settings.DATA_DIR = tmp_path
    pipes = tmp_path / "notifications"
    pipes.mkdir()
    real = getattr(os, refused := {"the folder": "scandir", "a pipe": "open"}.get(trouble, "unlink"))
    os.mkfifo(pipes / "1-0.pipe")

    # As for another user. The tests may run as root, who may do everything.
    def refuse(path, *arguments, **more):
        if str(path).startswith(str(pipes)):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, refused, refuse)

    answers = [send(integration.origin, issue(number)).status_code for number in (1, 2)]

    assert answers == [202, 202]
    assert Event.objects.count() == 2
    warnings = [record for record in caplog.records if "cannot be notified" in record.message]
    assert len(warnings) == (trouble != "a pipe that nobody reads")
