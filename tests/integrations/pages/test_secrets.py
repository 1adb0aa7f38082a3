"""Who is shown a webhook's secret, who may replace it, and how an old one is cut off."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client

from integrations.models import Integration, Origin

from .flowdock_double import LOBBY, MAIN

pytestmark = pytest.mark.django_db


def connect(client: Client, flow: str = LOBBY) -> Integration:
    chosen = {"flow": flow, "service": "github", "origin": "octo/hello", "preset": "everything", "confirm": "1"}
    client.post(f"/flowdock/setup?{urlencode(chosen)}")
    return Integration.objects.select_related("origin").get(flow_id=flow)


def finish(client: Client, integration: Integration) -> str:
    return client.get(f"/integrations/{integration.pk}/connected/").content.decode()


def ping(origin: Origin, secret: str) -> int:
    body = json.dumps({"zen": "Hm.", "hook_id": 1, "sender": {"login": "ines", "type": "User"}}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": hashlib.sha256(secret.encode()).hexdigest()[:8],
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    address = f"/hooks/{origin.hook_id}/"
    return Client().post(address, body, content_type="application/json", headers=headers).status_code


def test_secret_is_shown_only_to_the_person_who_connected_it(member, sign_in):
    integration = connect(member)
    secret = integration.origin.secret
    other = sign_in("other")

    assert secret in finish(member, integration)
    assert "Only you can see this secret" in finish(member, integration)
    page = finish(other, integration)
    assert secret not in page
    assert "Only Demo Dean can see the secret" in page
    assert "replace it on the" in page


def test_page_with_the_secret_is_never_cached(member):
    integration = connect(member)

    page = member.get(f"/integrations/{integration.pk}/connected/")

    assert "no-store" in page["Cache-Control"]


def test_new_secret_is_shown_only_to_the_person_who_replaced_it(member, sign_in):
    integration = connect(member)
    other = sign_in("other")

    other.post(f"/integrations/{integration.pk}/secret/")

    integration.origin.refresh_from_db()
    assert integration.origin.secret in finish(other, integration)
    page = finish(member, integration)
    assert integration.origin.secret not in page
    assert "Only Olive Other can see the secret, because they replaced it" in page


def test_secret_replaced_by_somebody_else_is_not_reused_for_the_next_flow(member, sign_in):
    in_lobby = connect(member)
    other = sign_in("other")
    other.post(f"/integrations/{in_lobby.pk}/secret/")
    known = Origin.objects.get(pk=in_lobby.origin_id).secret

    in_main = connect(member, MAIN)

    assert in_main.origin_id != in_lobby.origin_id
    assert in_main.origin.secret != known
    assert in_main.origin.created_by == User.objects.get(username="demo")
    assert ping(in_lobby.origin, known) == 202
    assert in_main.deliveries.count() == 0


def test_secret_that_the_person_replaced_is_reused_for_their_next_flow(member):
    in_lobby = connect(member)
    member.post(f"/integrations/{in_lobby.pk}/secret/")

    assert connect(member, MAIN).origin_id == in_lobby.origin_id


def test_previous_secret_can_be_invalidated_at_once(member):
    integration = connect(member)
    old = integration.origin.secret
    assert "Revoke old secret" not in finish(member, integration)
    member.post(f"/integrations/{integration.pk}/secret/")
    integration.origin.refresh_from_db()
    assert "Revoke old secret" in finish(member, integration)

    done = member.post(f"/integrations/{integration.pk}/secret/cut-off/", follow=True)

    assert "The old secret of octo/hello was revoked." in done.content.decode()
    assert "Revoke old secret" not in done.content.decode()
    assert ping(integration.origin, old) == 403
    assert ping(integration.origin, integration.origin.secret) == 202


def test_previous_secret_can_be_invalidated_only_by_people_who_may_replace_it(member, sign_in):
    in_lobby = connect(member)
    connect(member, MAIN)
    member.post(f"/integrations/{in_lobby.pk}/secret/")
    other = sign_in("other")

    assert "Revoke old secret" not in finish(other, in_lobby)
    assert other.post(f"/integrations/{in_lobby.pk}/secret/cut-off/").status_code == 404
    assert Origin.objects.get().is_rotating


def test_staff_can_invalidate_previous_secrets_in_the_admin(member, client, django_user_model):
    origin = connect(member).origin
    old = origin.secret
    origin.rotate_secret()
    client.force_login(
        django_user_model.objects.create_superuser("sam"), backend="integrations.passwords.PasswordBackend"
    )

    client.post("/admin/integrations/origin/", {"action": "cut_off_old_secret", "_selected_action": [origin.pk]})

    assert ping(origin, old) == 403
    assert not Origin.objects.get().is_rotating


def test_other_flows_are_named_only_to_people_who_can_open_them(member, sign_in, flowdock):
    in_lobby, in_main = connect(member), connect(member, MAIN)
    other = sign_in("other")

    seen_by_other = other.get(in_lobby.get_absolute_url()).content.decode()

    assert ">Main<" not in seen_by_other
    assert "octo/hello stays connected to 1 other flow." in seen_by_other
    assert "octo/hello stays connected to Main." in member.get(in_lobby.get_absolute_url()).content.decode()
    assert "octo/hello stays connected to Lobby." in member.get(in_main.get_absolute_url()).content.decode()
    flowdock.members[MAIN].add("other")
    assert "1 other flow" in other.get(in_lobby.get_absolute_url()).content.decode(), "an answer holds half a minute"
