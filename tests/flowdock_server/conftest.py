from __future__ import annotations

import asyncio
import base64
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, set_token_value

from flowdock_server.models import (
    ApiToken,
    Application,
    Flow,
    FlowMembership,
    Membership,
    Organization,
    Source,
    User,
)
from flowdock_server.streaming.store import THREADS, threads
from tests.databases import migrated

SECRET = "an application's secret"


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb, django_db_modify_db_settings):
    """On SQLite the database is there before Django would make it, a copy of a migrated one."""
    if connection.vendor != "sqlite":
        return django_db_keepdb
    migrated("flowdock", Path(connection.settings_dict["TEST"]["NAME"]))
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup):
    yield
    # Open pages and streams use separate threads. PostgreSQL does not drop a database with open connections.
    asyncio.run(sync_to_async(connections.close_all)())
    connections.close_all()
    close_connections_of_streams()


def close_connections_of_streams() -> None:
    """Each thread waits for the others, so that none of them takes two turns."""
    together = threading.Barrier(THREADS)

    def close() -> None:
        together.wait(10)
        connections.close_all()

    for closed in [threads.submit(close) for _ in range(THREADS)]:
        closed.result()


@dataclass
class World:
    """Acme has the flows Main, where Ines is, and Lobby, where Ines and Otto are. Sam is in another organization."""

    ines: User
    otto: User
    sam: User
    acme: Organization
    main: Flow
    lobby: Flow
    elsewhere: Flow
    application: Application


@pytest.fixture
def world(db) -> World:
    ines = User.objects.create_user("ines@example.com", "Ines Rao", "a password", avatar="https://pictures.test/i.png")
    otto = User.objects.create_user("otto@example.com", "Otto Berg", "a password")
    sam = User.objects.create_user("sam@example.com", "Sam Stranger", "a password")
    acme = Organization.objects.create(name="Acme", parameterized_name="acme")
    other = Organization.objects.create(name="Other", parameterized_name="other")
    Membership.objects.create(organization=acme, user=ines, admin=True)
    Membership.objects.create(organization=acme, user=otto)
    Membership.objects.create(organization=other, user=sam)
    main = Flow.objects.create(organization=acme, name="Main", parameterized_name="main")
    lobby = Flow.objects.create(organization=acme, name="Lobby", parameterized_name="lobby")
    elsewhere = Flow.objects.create(organization=other, name="Elsewhere", parameterized_name="elsewhere")
    for flow, user in ((main, ines), (lobby, ines), (lobby, otto), (elsewhere, sam)):
        FlowMembership.objects.create(flow=flow, user=user)
    application = Application.objects.create(
        name="Build lights",
        client_id="build-lights",
        client_secret=SECRET,
        redirect_uris="https://lights.test/callback",
        setup_uri="https://lights.test/setup?flow={flow_id}&flow_url={flow_url}",
        configuration_uri="https://lights.test/configure",
        icon="/static/logo.svg",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        user=ines,
    )
    return World(ines, otto, sam, acme, main, lobby, elsewhere, application)


def basic(name: str, password: str = "") -> Client:
    return Client(headers={"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()})


@pytest.fixture
def as_person():
    """A client that calls the API with a personal token: `as_person(world.ines)`."""

    def client(user: User) -> Client:
        _, token = ApiToken.issue(user, "for a test")
        return basic(token)

    return client


@pytest.fixture
def ines(world, as_person):
    """An admin of Acme, who is in all of its flows, as a client of the API."""
    return as_person(world.ines)


@pytest.fixture
def otto(world, as_person):
    """A member of Acme and of its flow Lobby, as a client of the API."""
    return as_person(world.otto)


def access_token(user: User, application: Application, scope: str, lasts: timedelta = timedelta(hours=1)) -> str:
    raw = f"token of {user.email} for {scope} {lasts}"
    token = get_access_token_model()(user=user, application=application, scope=scope, expires=timezone.now() + lasts)
    set_token_value(token, raw)
    token.save()
    return raw


@pytest.fixture
def with_scopes(world):
    """A client that calls through the application: `with_scopes(world.ines, "flow integration")`."""

    def client(user: User, scope: str, application: Application | None = None) -> Client:
        token = access_token(user, application or world.application, scope)
        return Client(headers={"Authorization": f"Bearer {token}"})

    return client


@pytest.fixture
def connect(world):
    """Connect a source to a flow and return it with its flow token."""

    def connected(flow: Flow | None = None, name: str = "octo/hello") -> tuple[Source, str]:
        return Source.connect(
            flow=flow or world.main,
            application=world.application,
            creator=world.ines,
            name=name,
            external_url="https://git.test/octo/hello",
        )

    return connected


def activity(**changes) -> dict:
    """Parameters of an activity of pull request 42, open and green, as an integration posts it."""
    return {
        "event": "activity",
        "title": "opened pull request",
        "external_thread_id": "pr:42",
        "author": {"name": "Lea Cohen", "email": "lea@example.com", "avatar": "https://pictures.test/lea.png"},
        "thread": {
            "title": "Warn before low tide",
            "body": "<p>It was <strong>late</strong>.</p>",
            "external_url": "https://git.test/octo/hello/pull/42",
            "status": {"value": "open", "color": "green"},
            "fields": [{"label": "Branch", "value": '<a href="https://git.test/b">low-tide</a>'}],
            "actions": [{"@type": "ViewAction", "name": "Diff", "url": "https://git.test/d"}],
        },
    } | changes


def post(client: Client, path: str, body: dict, **kwargs):
    return client.post(path, body, content_type="application/json", **kwargs)
