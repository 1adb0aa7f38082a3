"""What operators and their machines see of a running bridge: probes, metrics, logs and heartbeats."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from integrations import metric_files
from integrations.models import Integration
from integrations.services import SERVICES
from tests import databases

from .conftest import issue
from .processes import DATABASES, PATIENCE, ROOT, Bridge, bridge_over, until
from .serving import TOKEN, Answer, Web, serving
from .test_processes import Receiver, receiver  # noqa: F401 - a fixture

SECRET = "fdb_the-secret-of-the-tests"
NOBODY = "http://127.0.0.1:1"


@pytest.fixture(params=DATABASES)
def bridge(request, tmp_path, receiver) -> Iterator[Bridge]:  # noqa: F811
    with bridge_over(request.param, tmp_path, receiver.url) as bridge:
        yield bridge


@pytest.fixture
def quiet_bridge(tmp_path) -> Bridge:
    """One over SQLite, without any row, for tests that need no worker."""
    path = databases.migrated("bridge", tmp_path / "bridge.sqlite3")
    return Bridge(tmp_path, f"sqlite:///{path}", NOBODY)


def hook_of(bridge: Bridge) -> str:
    """The webhook address of the only origin, whose secret is now SECRET."""
    code = f"from integrations.models import Origin; o = Origin.objects.get(); o.secret = {SECRET!r}; o.save()"
    return bridge.manage("shell", "-v0", "-c", f"{code}; print(o.hook_id)").strip()


def post(web: Web, hook: str, payload: Any, secret: str = SECRET, request_id: str = "r", **headers: str) -> Answer:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    github = SERVICES["github"]
    signed = {**github.announce("issues", request_id), **github.sign(body, secret), **headers}
    return web.ask(f"/hooks/{hook}/", "POST", body, Host="bridge.example", X_Forwarded_Proto="https", **signed)


def listening_web(bridge: Bridge, folder: Path, **settings: str) -> Any:
    return serving(bridge, folder, TRUST_FORWARDED_PROTO="yes", **settings)


# Probes


def test_probes_are_answered_by_address_and_http(bridge, tmp_path):
    with serving(bridge, tmp_path) as web:
        alive, ready, page = web.ask("/healthz"), web.ask("/readyz"), web.ask("/")
        heads = [web.ask(path, "HEAD") for path in ("/healthz", "/readyz")]
        posts = [web.ask(path, "POST", b"x") for path in ("/healthz", "/readyz", "/metrics")]

    assert (alive.status, alive.json()) == (200, {"status": "alive"})
    assert ready.status == 200
    assert ready.json() == {
        "status": "ready",
        "checks": {
            "database": "ok",
            "migrations": "ok",
            "keys": "ok",
            "worker": "none was seen in the last hour",
        },
    }
    assert alive.headers["content-type"] == ready.headers["content-type"] == "application/json"
    assert page.status in {301, 400}, "other paths keep the checks of host and https"
    assert [(each.status, each.body) for each in heads] == [(200, ""), (200, "")]
    assert [each.status for each in posts] == [405, 405, 405]


def test_unmigrated_database_is_not_ready_and_called_unmigrated(tmp_path):
    bridge = Bridge(tmp_path, f"sqlite:///{tmp_path / 'bridge.sqlite3'}", NOBODY)
    with listening_web(bridge, tmp_path) as web:
        found, hook = web.ask("/readyz"), post(web, "aaaa-bbbb-cccc", issue())
        bridge.manage("migrate", "--verbosity", "0")
        until(lambda: web.ask("/readyz").status == 200, "readiness after migrating")

    assert found.status == 503
    assert found.json()["checks"]["migrations"] == "not applied: run `manage.py migrate`"
    assert hook.status == 503
    refused = [line for line in web.logged() if "refused a webhook request" in line]
    assert len(refused) == 1
    assert "the database was not migrated, run `manage.py migrate`" in refused[0]
    assert "Traceback" not in web.log.read_text()


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a database server that accepts connections and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_process_is_alive_but_not_ready_while_the_database_hangs(silent_server, tmp_path):
    bridge = Bridge(tmp_path, f"postgres://bridge:hidden@127.0.0.1:{silent_server}/bridge", NOBODY)
    with listening_web(bridge, tmp_path, WEB_THREADS="2") as web:
        began = time.monotonic()
        ready = web.ask("/readyz")
        took = time.monotonic() - began
        scraped = web.scrape()
        stuck = [threading.Thread(target=post, args=(web, "aaaa-bbbb-cccc", issue())) for _ in range(2)]
        for thread in stuck:
            thread.start()
        time.sleep(0.5)  # both threads wait for the database now
        began = time.monotonic()
        alive = web.ask("/healthz")
        alive_took = time.monotonic() - began
        for thread in stuck:
            thread.join()

    assert ready.status == 503
    assert ready.json()["checks"]["database"] == "did not answer within 1 s"
    assert took < 3
    assert alive.status == 200
    assert alive_took < 1
    assert scraped['ready{check="database"}'] == scraped["database_read"] == 0
    assert "hooks_refused_total" in str(scraped), "what is counted does not need the database"
    assert "hidden" not in web.log.read_text()


def test_wrong_keys_are_not_ready_and_one_damaged_secret_is(bridge, tmp_path):
    hook_of(bridge)
    with serving(bridge, tmp_path, FIELD_KEYS=Fernet.generate_key().decode()) as web:
        wrong = web.ask("/readyz")
    add = "from integrations.models import Origin; Origin.objects.create(service='github', name='damaged')"
    damage = "from django.db import connection; c = connection.cursor();"
    damage += " c.execute(\"UPDATE integrations_origin SET secret = 'x' WHERE name = 'damaged'\")"
    bridge.manage("shell", "-v0", "-c", f"{add}; {damage}")
    with serving(bridge, tmp_path) as web:
        damaged = web.ask("/readyz")

    assert wrong.status == 503
    assert wrong.json()["checks"]["keys"] == "no key of FIELD_KEYS decrypts the newest webhook secrets"
    assert damaged.status == 200


# Metrics


def test_metrics_need_their_token(client, settings):
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = TOKEN

    refused = [
        client.get("/metrics", headers={"Authorization": given})
        for given in ("", TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", "Bearer \xe4")
    ]

    assert [answer.status_code for answer in refused] == [401] * 6
    assert {answer["WWW-Authenticate"] for answer in refused} == {"Bearer"}


def test_every_happening_is_counted_across_processes_and_their_deaths(bridge, receiver, tmp_path):  # noqa: F811
    hook = hook_of(bridge)
    with listening_web(bridge, tmp_path) as web:
        before = web.scrape()
        worker = bridge.start_worker()
        answers = [post(web, hook, issue(number), request_id=f"r-{number}") for number in range(3)]
        answers += [post(web, hook, issue(2), request_id="r-2"), post(web, hook, issue(), secret="wrong")]
        answers += [post(web, hook, b"[]"), post(web, "aaaa-bbbb-cccc", issue())]
        until(lambda: web.scrape()['delivery_attempts_total{outcome="delivered"}'] == 3, "three deliveries")
        until(lambda: web.scrape()["workers"] == 1, "the worker")  # the database is read every few seconds
        running = web.scrape()
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        killed = web.scrape()
        another = bridge.start_worker()
        post(web, hook, issue(9), request_id="r-9")
        until(lambda: web.scrape()['delivery_attempts_total{outcome="delivered"}'] == 4, "a fourth delivery")
        after = web.scrape()
        another.send_signal(signal.SIGTERM)
        assert another.wait(PATIENCE) == 0

    assert [answer.status for answer in answers] == [202, 202, 202, 200, 403, 400, 404]
    assert {name for name, value in before.items() if value and "ready" not in name} == {"database_read"} | {
        name for name in before if name.startswith("integrations{") and before[name]
    }
    counted = {name: value for name, value in running.items() if "_total" in name and value}
    assert counted == {
        'events_accepted_total{service="github"}': 3,
        'events_repeated_total{service="github"}': 1,
        'hooks_refused_total{reason="wrong_signature"}': 1,
        'hooks_refused_total{reason="unreadable"}': 1,
        'hooks_refused_total{reason="unknown_address"}': 1,
        'deliveries_decided_total{verdict="post"}': 3,
        'delivery_attempts_total{outcome="delivered"}': 3,
    }
    assert running["accept_seconds_count"] == 4
    assert running["post_seconds_count"] == running["hook_to_inbox_seconds_count"] == 3
    assert 0 < running["hook_to_inbox_seconds_sum"] < 3 * PATIENCE
    assert running["workers"] == 1
    fell = {name for name in running if re.search("_(total|count|bucket|sum)", name) and killed[name] < running[name]}
    assert fell == set(), "a worker was killed"
    assert after['events_accepted_total{service="github"}'] == 4
    assert len(list((tmp_path / "metrics").glob("counter_*.db"))) == 2, "the second worker counts in the first one's"


def test_backlog_is_measured_without_paused_integrations(bridge, tmp_path):
    bridge.race("post", "a", "b")
    bridge.race("post-elsewhere", "c")
    decide = "from integrations.deciding import Decider\nwhile Decider().decide_some(): pass\n"
    change = "from django.utils import timezone; import datetime as dt\nfrom integrations.models import *\n"
    change += "Integration.objects.get(origin__name='octo/other').pause()\n"
    change += "rows = Delivery.objects.filter(integration__origin__name='octo/other')\n"
    change += "rows.update(created_at=timezone.now() - dt.timedelta(hours=5))\n"
    later = "from integrations import ingest\nfrom integrations.activity import *\n"
    later += "ingest.post(Origin.objects.get(name='octo/hello'), Activity(Author('Lea'), 'd', 'one', Thread('One')))\n"
    later += "Event.objects.awaiting_decision().update(received_at=timezone.now() - dt.timedelta(hours=1))"
    bridge.manage("shell", "-v0", "-c", decide + change + later)

    with serving(bridge, tmp_path) as web:
        found = web.scrape()

    assert found['deliveries_pending{paused="no"}'] == 2
    assert found['deliveries_pending{paused="yes"}'] == 1
    assert 0 < found["oldest_pending_age_seconds"] < 300
    assert found['integrations{state="paused"}'] == 1
    assert found["events_undecided"] == 1
    assert 3600 <= found["oldest_undecided_age_seconds"] < 3900


@pytest.mark.django_db
def test_integrations_are_counted_by_the_state_that_their_page_shows(connect):
    now = timezone.now()
    connect("a")
    connect("b", first_event_at=now)
    connect("c", problem="Flowdock refuses its token", paused_at=now)
    connect("d", problem="Flowdock refuses its token")
    connect("e", flow_token="")
    connect("f", flow_token="", removed_at=now)

    counted = Integration.objects.count_by_state()

    states = [integration.state for integration in Integration.objects.all()]
    assert counted == {state.value: states.count(state) for state in set(states)}
    assert counted == {str(state): Integration.objects.in_state(state).count() for state in Integration.State}


def test_counts_that_cannot_be_read_do_not_hide_the_others(quiet_bridge, tmp_path):
    folder = tmp_path / "metrics"
    with serving(quiet_bridge, tmp_path) as web:
        web.ask("/hooks/x/", "POST", b"", Host="127.0.0.1")
        web.scrape()
        (folder / "counter_77.db").write_bytes(b"\x40\0\0\0\0\0\0\0" + b"\xff" * 100)
        (folder / "histogram_78.db").write_bytes(b"\x01")
        found = web.scrape()

    assert found['integrations{state="active"}'] == 0
    assert "events_accepted_total" in str(found)


def test_process_starts_with_files_that_a_power_failure_has_damaged(quiet_bridge, tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"\x40\0\0\0\0\0\0\0" + b"\xff" * 100)

    with serving(quiet_bridge, tmp_path) as web:
        found = web.scrape()

    assert found['hooks_refused_total{reason="unreadable"}'] == 0


def test_files_have_their_room_reserved(quiet_bridge, tmp_path):
    """Otherwise a full disk would kill the process that counts in them."""
    with serving(quiet_bridge, tmp_path) as web:
        web.scrape()

    for path in (tmp_path / "metrics").glob("*.db"):
        assert path.stat().st_blocks * 512 >= metric_files.FILE_BYTES


def test_web_process_works_where_the_files_cannot_be_used(quiet_bridge, tmp_path):
    (tmp_path / "metrics").write_text("not a folder")

    with listening_web(quiet_bridge, tmp_path) as web:
        answer = post(web, "aaaa-bbbb-cccc", issue())

    assert answer.status == 404
    assert "the metrics of this process are not collected" in web.log.read_text()


# Logs


def test_json_log_has_a_line_for_each_request_with_its_ids(bridge, receiver, tmp_path):  # noqa: F811
    hook = hook_of(bridge)
    hostile = "a\nb\x1b[2J" + "\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 65536
    with listening_web(bridge, tmp_path, LOG_FORMAT="json", TRUST_FORWARDED_FOR="yes") as web:
        given = post(web, hook, issue(7), X_Request_ID="from-the-proxy.1")
        chosen = post(web, hook, issue(8, title=hostile), request_id="s", X_Request_ID="not well-formed")
        post(web, hook, issue(8), secret="wrong", X_Forwarded_For="192.0.2.1, 198.51.100.9")
        post(web, "x" * 5000, issue(8))
    records = [json.loads(line) for line in web.logged() if line.startswith("{")]

    accepted = [each for each in records if each["message"] == "accepted an event"]
    refused = [each for each in records if each["message"].startswith("refused a webhook request")]
    assert [each["request_id"] for each in accepted] == [given.headers["x-request-id"], chosen.headers["x-request-id"]]
    assert given.headers["x-request-id"] == "from-the-proxy.1"
    assert re.fullmatch("[0-9a-f]{16}", chosen.headers["x-request-id"])
    assert accepted[0].keys() >= {
        "time",
        "level",
        "logger",
        "event_id",
        "origin_id",
        "origin",
        "service",
        "bytes",
        "ms",
    }
    assert accepted[0]["origin"] == "octo/hello"
    assert (refused[0]["reason"], refused[0]["address"]) == ("wrong_signature", "198.51.100.9")
    assert refused[1]["reason"] == "unknown_address"
    assert all(len(json.dumps(each)) < 5000 for each in records)
    written = web.log.read_text()
    assert SECRET not in written
    assert "It breaks." not in written, "the body of the issue"
    assert not [line for line in web.logged() if not line.startswith("{") and "refused" in line]


def test_deliveries_are_logged_with_their_ids(bridge, receiver, tmp_path):  # noqa: F811
    bridge.race("post", "a")
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "worker"],
        cwd=ROOT, env=bridge.env | {"LOG_FORMAT": "json"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    bridge.workers.append(worker)
    until(lambda: [each["state"] for each in bridge.deliveries()] == ["delivered"], "the delivery")
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=PATIENCE)

    (record,) = [each for each in map(json.loads, errors.splitlines()[-1:]) if "outcome" in each]
    assert record["message"] == "delivery delivered: posted"
    assert record["delivery_id"] == bridge.deliveries()[0]["id"]
    assert record.keys() >= {"event_id", "integration_id", "outcome", "status", "ms"}


def test_cron_prints_nothing_about_what_went_well(bridge, receiver):  # noqa: F811
    bridge.race("post", "a")
    done = subprocess.run(
        [sys.executable, "manage.py", "deliver_activities"],
        cwd=ROOT, env=bridge.env | {"FLOWDOCK_CLIENT_ID": "x", "FLOWDOCK_CLIENT_SECRET": "x"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert len(receiver.got) == 1
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Heartbeats


def heartbeats(bridge: Bridge) -> list[str]:
    with bridge._connected() as link:
        return [name for (name,) in link.execute("SELECT name FROM integrations_worker ORDER BY name").fetchall()]


def test_worker_is_seen_until_it_ends(bridge):
    worker = bridge.start_worker()
    until(lambda: heartbeats(bridge), "a heartbeat")
    name = heartbeats(bridge)
    worker.send_signal(signal.SIGTERM)

    assert worker.wait(PATIENCE) == 0
    assert name == [f"{socket.gethostname()}:{worker.pid}"]
    assert heartbeats(bridge) == []


def test_killed_worker_is_forgotten_after_an_hour(bridge, tmp_path):
    killed = bridge.start_worker()
    until(lambda: heartbeats(bridge), "a heartbeat")
    killed.kill()
    killed.wait()
    age = "from integrations.models import *; import datetime as dt; from django.utils import timezone;"
    age += " Worker.objects.update(seen_at=timezone.now() - dt.timedelta(minutes={minutes}))"
    bridge.manage("shell", "-v0", "-c", age.format(minutes=50))
    with serving(bridge, tmp_path) as web:
        ready, found = web.ask("/readyz"), web.scrape()
    bridge.manage("shell", "-v0", "-c", age.format(minutes=61))
    another = bridge.start_worker()
    until(lambda: heartbeats(bridge) == [f"{socket.gethostname()}:{another.pid}"], "only the living one's heartbeat")

    assert ready.status == 200, "events can be accepted without a worker"
    assert re.fullmatch(r"last seen 30\d\d s ago", ready.json()["checks"]["worker"])
    assert found["workers"] == found['ready{check="worker"}'] == 0
    assert 3000 <= found["worker_last_seen_age_seconds"] < 3100


def test_open_breaker_is_reported(tmp_path):
    with bridge_over("sqlite", tmp_path, NOBODY) as bridge:
        add = "from integrations.models import *; from integrations import ingest;"
        add += " from integrations.activity import *\n"
        add += "for n in range(4):\n o = Origin.objects.create(service='github', name=f'o/{n}')\n"
        add += " Integration.objects.create(origin=o, name=o.name, flow_token='t')\n"
        add += " ingest.post(o, Activity(Author('Lea'), 'x', 'one', Thread('One')))\n"
        bridge.manage("shell", "-v0", "-c", add)
        bridge.start_worker()
        with serving(bridge, tmp_path) as web:
            until(lambda: web.scrape()["breakers_open"] == 1, "the circuit breaker")
