"""What operators and cron run: what they do, what they print, and the code they end with."""

from __future__ import annotations

import datetime as dt
import io
import json
import re

import pytest
import requests
import responses
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from integrations import encryption
from integrations.delivery.attempts import TOKEN_REFUSED
from integrations.models import Delivery, Event, Integration, Origin
from tests.integrations.own_app import offered

from .conftest import issue

ACTIVITY = {
    "author": {"name": "Lea Cohen"},
    "title": "deployed",
    "thread_id": "deploy:42",
    "thread": {"title": "Version 1.4.2", "status": {"value": "live", "color": "green"}},
}


def run(*arguments: str, code: int = 0, **options) -> str:
    """What the command prints, and the error it ends with if `code` says that it ends with one."""
    out = io.StringIO()
    ended = 0
    try:
        call_command(*arguments, stdout=out, stderr=io.StringIO(), **options)
    except CommandError as error:
        ended = error.returncode
        out.write(str(error))
    except SystemExit as error:
        ended = error.code
    assert ended == code, out.getvalue()
    return out.getvalue()


@pytest.fixture
def stdin(monkeypatch):
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def answer_sources(flowdock, status: int = 200, **source) -> None:
    body = [{"id": 51, "name": "octo/hello", "url": f"{flowdock.url}/flows/acme/main/sources/51", **source}]
    flowdock.mock.upsert("GET", f"{flowdock.url}/sources", status=status, json=body if status == 200 else {})


# post_activity


def test_activity_given_in_options_is_posted(integration, flowdock):
    pk = run(
        "post_activity", str(integration.pk), title="deployed <1>", thread_title="Live", status="up", color="green"
    )
    call_command("deliver_activities")

    (message,) = flowdock.posts
    assert message["title"] == "deployed &lt;1&gt;"
    assert message["thread"]["status"] == {"value": "up", "color": "green"}
    assert Delivery.objects.get(event=int(pk)).state == "delivered"


def test_activity_from_standard_input_is_posted_to_its_integration_only(connect, integration, flowdock, stdin):
    connect(origin=integration.origin)
    stdin(json.dumps(ACTIVITY))

    run("post_activity", str(integration.pk))
    call_command("deliver_activities")

    (message,) = flowdock.posts
    assert (message["flow_token"], message["thread_id"]) == (integration.flow_token, "deploy:42")


def test_activity_with_a_known_idempotency_key_is_not_posted_again(integration):
    first = run("post_activity", str(integration.pk), title="deployed", idempotency_key="build-7")
    again = run("post_activity", str(integration.pk), title="deployed", idempotency_key="build-7")

    assert first == again
    assert Event.objects.count() == 1


@pytest.mark.parametrize("text", ["", "[]", "5", "{", "{}", '{"title": 3}', json.dumps(ACTIVITY | {"colour": "red"})])
def test_post_activity_explains_an_invalid_activity(integration, stdin, text):
    stdin(text)

    said = run("post_activity", str(integration.pk), code=2)

    assert said.endswith(".")
    assert not Event.objects.exists()


def test_post_activity_explains_an_unknown_integration(db):
    assert "No connected integration has the number 99" in run("post_activity", "99", title="x", code=1)


def test_post_activity_dry_run_prints_the_activity_and_stores_nothing(integration):
    printed = run("post_activity", str(integration.pk), title="deployed", dry_run=True)

    assert json.loads(printed)["title"] == "deployed"
    assert not Event.objects.exists()


def test_post_activity_has_its_own_exit_code_for_a_timeout(integration):
    assert "Still waiting" in run("post_activity", str(integration.pk), title="deployed", wait=0.2, code=3)


# connect


def test_connect_prints_a_working_webhook_address(db, flowdock, send):
    answer_sources(flowdock)

    printed = json.loads(run("connect", "github", "octo/hello", flow_token="f" * 32, as_json=True))

    integration = Integration.objects.get(pk=printed["integration"])
    assert printed["hook_url"] == integration.origin.hook_url
    assert printed["secret"] == integration.origin.secret
    assert integration.flowdock_id == 51
    assert send(integration.origin, issue()).status_code == 202


def test_connect_reads_the_token_from_standard_input(db, flowdock, stdin):
    answer_sources(flowdock)
    stdin(f"{'f' * 32}\n")

    printed = run("connect", "github", "octo/hello")

    integration = Integration.objects.get()
    assert integration.flow_token == "f" * 32
    assert integration.origin.secret in printed
    assert integration.origin.hook_url in printed
    assert integration.flow_token not in printed


def test_connecting_again_prints_the_same_webhook_address(db, flowdock):
    answer_sources(flowdock)
    first = json.loads(run("connect", "github", "octo/hello", flow_token="f", as_json=True))
    again = json.loads(run("connect", "github", "octo/hello", flow_token="f", as_json=True))

    assert (first.pop("is_new"), again.pop("is_new")) == (True, False)
    assert first == again


def test_connect_uses_the_same_webhook_for_a_second_flow(db, flowdock):
    answer_sources(flowdock)
    first = json.loads(run("connect", "github", "octo/hello", flow_token="f", as_json=True))
    answer_sources(flowdock, id=52)
    second = json.loads(run("connect", "github", "octo/hello", flow_token="g", as_json=True))

    assert first["integration"] != second["integration"]
    assert first["hook_url"] == second["hook_url"]


@pytest.mark.parametrize(("is_staff", "is_shared"), [(False, False), (True, True)])
def test_connect_does_not_reuse_an_origin_whose_secret_a_member_replaced(
    db, flowdock, django_user_model, is_staff, is_shared
):
    answer_sources(flowdock)
    first = json.loads(run("connect", "github", "octo/hello", flow_token="f", as_json=True))
    Origin.objects.get().rotate_secret(by=django_user_model.objects.create(username="olive", is_staff=is_staff))
    answer_sources(flowdock, id=52)

    second = json.loads(run("connect", "github", "octo/hello", flow_token="g", as_json=True))

    assert (first["hook_url"] == second["hook_url"]) is is_shared
    assert (second["secret"] == Origin.objects.order_by("pk")[0].secret) is is_shared


def test_connect_refuses_the_token_of_another_origin(db, flowdock):
    answer_sources(flowdock)
    run("connect", "github", "octo/hello", flow_token="f")

    assert "belongs to another integration" in run("connect", "github", "octo/other", flow_token="f", code=1)
    assert Origin.objects.count() == 1


@pytest.mark.parametrize(("status", "code"), [(401, 1), (410, 1), (503, 3)])
def test_connect_creates_nothing_if_flowdock_refuses_the_token(db, flowdock, status, code):
    answer_sources(flowdock, status)

    assert "fffff" not in run("connect", "github", "octo/hello", flow_token="f" * 32, code=code)
    assert not Origin.objects.exists()


def test_connect_explains_wrong_arguments(db, flowdock, stdin):
    stdin("")
    assert "No flow token" in run("connect", "github", "octo/hello", code=2)
    assert "are: everything" in run("connect", "github", "octo/hello", flow_token="f", filters="none", code=2)
    assert run("connect", "github", "no repository", flow_token="f", code=2)


def test_connect_stores_the_chosen_filters(db, flowdock):
    answer_sources(flowdock)

    run("connect", "github", "octo/hello", flow_token="f", filters="releases")

    assert "release.published" in Integration.objects.get().filters["events"]["any_of"]


def test_connect_needs_no_webhook_for_own_apps(db, flowdock):
    answer_sources(flowdock, name="Rye")
    with offered():
        printed = json.loads(run("connect", "bakery", "rye", flow_token="token-1", as_json=True))
        words = run("connect", "bakery", "Rye", flow_token="token-1")
        refused = run("replay", str(printed["integration"]), ".", code=4)

    assert Origin.objects.get().name == "Rye"
    assert (printed["hook_id"], printed["hook_url"], printed["secret"]) == ("", "", "")
    assert "There is nothing else to set up: Bakery is built into the bridge." in words
    assert "Bakery does not send any" in refused


def test_connect_dry_run_checks_the_token_and_creates_nothing(db, flowdock):
    answer_sources(flowdock)

    assert "source 51" in run("connect", "github", "octo/hello", flow_token="f", dry_run=True)
    assert not Origin.objects.exists()


# check_integrations


def test_check_ends_an_integration_whose_source_was_removed(integration, flowdock):
    answer_sources(flowdock, 410)

    assert "removed in Flowdock" in run("check_integrations", dry_run=True)
    integration.refresh_from_db()
    assert not integration.removed_at
    run("check_integrations")

    integration.refresh_from_db()
    assert integration.removed_at


def test_refused_token_is_reported_and_cleared_once_it_is_accepted(send, integration, flowdock):
    send(integration.origin, issue())
    answer_sources(flowdock, 401)
    run("check_integrations", code=1)
    integration.refresh_from_db()
    assert integration.problem == TOKEN_REFUSED
    assert Delivery.objects.get().next_attempt_at > timezone.now() + dt.timedelta(minutes=10)

    answer_sources(flowdock)
    assert "OK again" in run("check_integrations")

    integration.refresh_from_db()
    assert integration.problem == ""
    assert [told["error_message"] for told in flowdock.told] == [TOKEN_REFUSED, ""]
    call_command("deliver_activities")
    assert len(flowdock.posts) == 1


def test_check_reports_an_undecipherable_token_until_its_key_is_back(send, integration, flowdock, settings):
    send(integration.origin, issue())
    keys, settings.FIELD_KEYS = settings.FIELD_KEYS, [Fernet.generate_key().decode()]

    assert "its token cannot be decrypted" in run("check_integrations", code=1)

    assert "FIELD_KEYS" in Integration.objects.values_list("problem", flat=True).get()
    assert flowdock.told == []
    settings.FIELD_KEYS = keys
    answer_sources(flowdock)
    assert "OK again" in run("check_integrations")
    assert Integration.objects.get().problem == ""
    call_command("deliver_activities")
    assert len(flowdock.posts) == 1


def test_check_changes_nothing_while_flowdock_does_not_respond(integration, flowdock):
    flowdock.mock.add("GET", f"{flowdock.url}/sources", body=requests.ConnectionError())

    run("check_integrations", code=3)

    integration.refresh_from_db()
    assert integration.problem == ""


def test_unfinished_set_up_is_deleted(connect, flowdock):
    connect(flow_token="", flowdock_id=None, created_at=timezone.now() - dt.timedelta(minutes=11))
    young = connect("octo/young", flow_token="", flowdock_id=None)

    assert "1 unfinished set-ups" in run("check_integrations", verbosity=2)
    assert list(Integration.objects.all()) == [young]


def test_check_stores_the_source_of_a_pasted_token(connect, flowdock):
    integration = connect(flowdock_id=None)
    answer_sources(flowdock)

    run("check_integrations")

    integration.refresh_from_db()
    assert (integration.flowdock_id, integration.source_url) == (51, f"{flowdock.url}/flows/acme/main/sources/51")


def test_every_integration_is_checked(connect, flowdock, monkeypatch):
    monkeypatch.setattr("integrations.source_checks.BATCH", 2)
    for number in range(5):
        connect(f"octo/{number}")
    answer_sources(flowdock)

    assert "5 of 5 integrations checked" in run("check_integrations", verbosity=2)


@pytest.mark.parametrize("answer", [{"status": 429}, {"status": 500}, {"body": requests.ConnectionError()}])
def test_check_goes_on_after_an_integration_that_flowdock_cannot_answer_about(connect, flowdock, answer):
    for number in range(8):
        connect(f"octo/{number}", flow_token=f"token-{number}")
    source = [{"id": 51, "name": "octo", "url": f"{flowdock.url}/flows/acme/main/sources/51"}]
    for number in range(8):
        asked = responses.matchers.query_param_matcher({"flow_token": f"token-{number}"})
        answers = answer if number in {0, 3} else {"status": 410} if number == 7 else {"json": source}
        flowdock.mock.get(f"{flowdock.url}/sources", match=[asked], **answers)

    said = run("check_integrations", code=3, verbosity=2)

    assert "6 of 8 integrations checked" in said
    assert said.count("not checked") == 2
    assert Integration.objects.get(name="octo/7").removed_at


def test_check_ends_after_several_integrations_without_an_answer(connect, flowdock):
    for number in range(20):
        connect(f"octo/{number}")
    flowdock.mock.get(f"{flowdock.url}/sources", body=requests.ConnectionError())

    run("check_integrations", code=3)

    assert len(flowdock.mock.calls) == 5


def test_check_goes_on_while_flowdock_limits_the_rate(connect, flowdock):
    for number in range(20):
        connect(f"octo/{number}")
    flowdock.mock.get(f"{flowdock.url}/sources", status=429)

    assert "0 of 20 integrations checked" in run("check_integrations", code=3, verbosity=2)
    assert len(flowdock.mock.calls) == 20


@pytest.mark.parametrize("command", ["deliver_activities", "check_integrations", "prune_events"])
def test_cron_commands_print_nothing_if_all_is_well(send, integration, flowdock, pass_time, settings, command):
    send(integration.origin, issue(1))
    answer_sources(flowdock)
    if command == "prune_events":
        call_command("deliver_activities")
        pass_time(settings.EVENT_RETENTION_DAYS * 24 * 3600 + 60)

    assert run(command) == ""


# prune_events


def test_delivery_that_is_retried_during_pruning_is_kept(send, integration, flowdock, pass_time, settings):
    send(integration.origin, issue(1))
    flowdock.fail(422)
    call_command("deliver_activities")
    pass_time(settings.EVENT_RETENTION_DAYS * 24 * 3600 + 60)
    (failed,) = Delivery.objects.filter(state="failed")
    retried = []

    def retry_after_the_first_look(execute, sql, *arguments):
        result = execute(sql, *arguments)
        if not retried and sql.startswith("SELECT") and "received_at" in sql:
            retried.append(failed)
            failed.retry()
        return result

    with connection.execute_wrapper(retry_after_the_first_look):
        run("prune_events")

    assert retried
    assert Delivery.objects.get().state == "pending"
    assert Event.objects.exists()


def test_expired_events_are_deleted_unless_they_still_wait(send, integration, flowdock, pass_time, settings):
    send(integration.origin, issue(1))
    call_command("deliver_activities")
    send(integration.origin, issue(2))
    pass_time(settings.EVENT_RETENTION_DAYS * 24 * 3600 + 60)
    send(integration.origin, issue(3))

    assert "1 events are older" in run("prune_events", dry_run=True)
    assert Event.objects.count() == 3
    assert run("prune_events", verbosity=2) == "1 events deleted\n"

    assert list(Event.objects.values_list("thread_id", flat=True)) == ["issue:2", "issue:3"]
    assert Delivery.objects.count() == 2


def test_pruning_deletes_all_batches(send, integration, pass_time, settings, monkeypatch):
    monkeypatch.setattr("integrations.retention.BATCH", 2)
    for _ in range(5):
        send(integration.origin, issue(), kind="ping")
    pass_time(settings.EVENT_RETENTION_DAYS * 24 * 3600 + 60)

    assert "5 events deleted" in run("prune_events", verbosity=2)
    assert not Event.objects.exists()


# replay


@pytest.fixture
def bridge(client, flowdock):
    """The bridge at bridge.test, and a worker: what `replay` posts goes to Django's test client."""

    def through_client(request):
        headers = {name: value for name, value in request.headers.items() if name not in {"Content-Length"}}
        content_type = headers.pop("Content-Type")
        path = request.url.removeprefix("http://bridge.test")
        answer = client.post(path, request.body, content_type=content_type, headers=headers)
        call_command("deliver_activities", stdout=io.StringIO())
        return answer.status_code, {}, answer.content

    flowdock.mock.add_callback(responses.POST, url=re.compile("http://bridge.test/hooks/"), callback=through_client)


def write(folder, **payloads) -> None:
    for name, payload in payloads.items():
        (folder / f"{name.replace('__', '.').replace('_', '-', 1)}.json").write_text(json.dumps(payload))


def test_replay_sends_a_folder_in_order_and_prints_the_results(integration, flowdock, bridge, tmp_path):
    integration.filters = {"events": {"none_of": ["issues.closed"]}}
    integration.save()
    write(
        tmp_path,
        **{"02_issues__closed": issue(7, "closed"), "01_issues__opened": issue(7), "03_ping": {"zen": "Be short."}},
    )

    told = run("replay", integration.origin.hook_id, str(tmp_path))

    assert "3 sent to octo/hello" in told
    assert "1 posted" in told
    assert "1 filtered" in told
    assert "1 ping" in told
    assert [message["thread_id"] for message in flowdock.posts] == ["issue:7"]
    assert list(Event.objects.order_by("id").values_list("kind", "action")) == [
        ("issues", "opened"), ("issues", "closed"), ("ping", ""),
    ]  # fmt: skip


def test_replay_sends_again_each_time_and_finds_the_webhook_by_integration(integration, flowdock, bridge, tmp_path):
    write(tmp_path, **{"01_issues__opened": issue(7)})

    run("replay", str(integration.pk), str(tmp_path))
    run("replay", str(integration.pk), str(tmp_path))

    assert len(flowdock.posts) == 2


def test_replay_sends_the_headers_of_the_index(integration, flowdock, bridge, tmp_path):
    (tmp_path / "first.json").write_text(json.dumps(issue(7)))
    index = {
        "common_headers": {"X-GitHub-Delivery": "one-for-all", "X-Hub-Signature-256": "sha256=<to be computed>"},
        "files": {"first.json": {"headers": {"X-GitHub-Event": "issues"}}},
    }
    (tmp_path / "index.json").write_text(json.dumps(index))

    run("replay", integration.origin.hook_id, str(tmp_path))

    assert Event.objects.get().kind == "issues"
    assert Event.objects.get().request_id != "one-for-all"


def test_replay_prints_what_was_refused_and_fails(integration, flowdock, bridge, tmp_path):
    write(tmp_path, **{"01_issues__opened": {"action": "opened"}, "02_issues__opened": issue(7)})

    told = run("replay", integration.origin.hook_id, str(tmp_path), code=1)

    assert "1 posted" in told
    assert "1 refused by the bridge" in told
    assert "400" in told


def test_replay_fails_if_flowdock_refuses_activities(integration, flowdock, bridge, tmp_path):
    flowdock.fail(422)
    write(tmp_path, **{"01_issues__opened": issue(7)})

    assert "1 failed" in run("replay", integration.origin.hook_id, str(tmp_path), code=1)


def test_replay_stops_waiting_if_nothing_is_delivered(integration, flowdock, bridge, tmp_path, monkeypatch):
    monkeypatch.setattr("integrations.management.commands.replay.PATIENCE", 0.2)
    flowdock.by_thread["issue:7"] = (500, {}, "{}")
    write(tmp_path, **{"01_issues__opened": issue(7)})

    told = run("replay", integration.origin.hook_id, str(tmp_path), code=3)

    assert "Flowdock answered 500" in told


def test_replay_explains_a_missing_webhook_or_folder(integration, tmp_path):
    assert "no webhook" in run("replay", "aaaa-bbbb-cccc", str(tmp_path), code=4)
    assert "No payloads" in run("replay", integration.origin.hook_id, str(tmp_path), code=2)


def test_replay_sends_nothing_for_a_removed_integration(integration, flowdock, tmp_path):
    write(tmp_path, **{"01_issues__opened": issue(7)})
    integration.remove()

    assert "no longer connected to a flow" in run("replay", integration.origin.hook_id, str(tmp_path), code=4)


def test_replay_stops_if_the_integration_ends_meanwhile(integration, flowdock, bridge, tmp_path):
    flowdock.fail(410)
    write(tmp_path, **{f"0{number}_issues__opened": issue(number) for number in (1, 2, 3)})

    assert "no longer connected to a flow" in run("replay", integration.origin.hook_id, str(tmp_path), code=4)
    assert Event.objects.count() == 1


def test_replay_dry_run_lists_what_it_would_send(integration, tmp_path):
    write(tmp_path, **{"01_issues__opened": issue(7)})

    assert "01-issues.opened.json" in run("replay", integration.origin.hook_id, str(tmp_path), dry_run=True)
    assert not Event.objects.exists()


# reencrypt_secrets


@pytest.fixture
def new_key(settings) -> str:
    key = Fernet.generate_key().decode()
    settings.FIELD_KEYS = [key, *settings.FIELD_KEYS]
    return key


def test_reencrypted_secrets_need_the_new_key_only(connect, new_key, settings):
    old_keys = settings.FIELD_KEYS[1:]
    settings.FIELD_KEYS = old_keys
    integration = connect()
    origin = integration.origin
    origin.rotate_secret()
    connect("octo/unfinished", flow_token="", flowdock_id=None)
    settings.FIELD_KEYS = [new_key, *old_keys]

    assert run("reencrypt_secrets") == "4 of 4 secrets encrypted again\n"
    settings.FIELD_KEYS = [new_key]

    assert Integration.objects.get(pk=integration.pk).flow_token == integration.flow_token
    found = Origin.objects.get(pk=origin.pk)
    assert (found.secret, found.previous_secret) == (origin.secret, origin.previous_secret)
    assert run("reencrypt_secrets") == "0 of 4 secrets encrypted again\n"


def test_stopped_reencryption_can_be_continued(connect, settings, monkeypatch):
    monkeypatch.setattr("integrations.encryption.BATCH", 2)
    for number in range(5):
        connect(f"octo/{number}")
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    batches = encryption.reencrypt(encryption.Tally())
    next(batches)
    batches.close()

    assert "The first key of FIELD_KEYS decrypts 2 secrets, an older key 8" in run("reencrypt_secrets", dry_run=True)
    assert run("reencrypt_secrets") == "8 of 10 secrets encrypted again\n"


def test_reencryption_names_undecipherable_secrets_and_keeps_them(connect, settings):
    lost = connect("octo/lost")
    kept = settings.FIELD_KEYS
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    connect("octo/found", origin=Origin.objects.create(service="github", name="octo/found"))

    said = run("reencrypt_secrets", code=1)

    assert "0 of 4 secrets encrypted again" in said
    assert "No key of FIELD_KEYS decrypts 2 secrets" in said
    assert f"integration {lost.pk}, flow_token" in said
    settings.FIELD_KEYS = kept
    assert Integration.objects.get(pk=lost.pk).flow_token == lost.flow_token


def test_secret_replaced_during_reencryption_keeps_its_new_value(integration, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    (secret,) = [each for each in next(encryption._batches()) if each.model is Origin]
    integration.origin.rotate_secret()

    assert not secret.reencrypt()

    assert Origin.objects.get().secret == integration.origin.secret


# explain


def test_explain_says_what_became_of_an_event_at_each_integration(connect, integration, send, flowdock):
    connect(
        origin=integration.origin, name="quiet", flow_name="Lobby", filters={"events": {"none_of": ["issues.opened"]}}
    )
    send(integration.origin, issue(title="Emoji"), request_id="72d3162e", decide=False)
    event = Event.objects.get()

    waiting = run("explain", "72d3162e")
    call_command("deliver_activities")
    decided = run("explain", str(event.pk))

    assert waiting.startswith(f"Event {event.pk}: lea opened the issue Emoji")
    assert "not checked against the filters yet" in waiting
    assert "octo/hello in a flow: Posted" in decided
    assert " 201 posted" in decided
    assert "quiet in Lobby: Filtered: " in decided


def test_explain_says_that_an_event_is_unknown(db):
    assert "No stored event has the number or request ID nonsense." in run("explain", "nonsense", code=1)
