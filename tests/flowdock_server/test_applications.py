"""Registering applications without a browser."""

import pytest

from flowdock_server.models import Application

from .conftest import basic, post


@pytest.fixture
def ines(world):
    return basic("ines@example.com", "a password")


@pytest.mark.parametrize("redirect_uri", ["urn:ietf:wg:oauth:2.0:oob", "https://lights.test/callback"])
def test_application_is_registered_and_its_secret_is_shown_once(client, world, ines, redirect_uri):
    response = post(ines, "/oauth/applications", {"application": {"name": "Lights", "redirect_uri": redirect_uri}})

    keys = response.json()
    assert response.status_code == 201
    assert keys["client_secret"] not in str(Application.objects.values())
    password = {
        "grant_type": "password",
        "username": "ines@example.com",
        "password": "a password",
        "client_id": keys["client_id"],
        "client_secret": keys["client_secret"],
    }
    assert client.post("/oauth/token", password).status_code == 200
    registered = Application.objects.get(client_id=keys["client_id"])
    assert (registered.name, registered.user, registered.published) == ("Lights", world.ines, False)
    assert ines.get(f"/oauth/applications/{registered.pk}").json() == {
        "id": registered.pk,
        "name": "Lights",
        "icon_url": "",
        "url": f"http://testserver/oauth/applications/{registered.pk}",
        "published": False,
    }


@pytest.mark.parametrize(
    ("application", "field"),
    [
        ({"name": "", "redirect_uri": "https://lights.test"}, "application.name"),
        ({"name": "Lights"}, "application.redirect_uri"),
        ({"name": "Lights", "redirect_uri": "javascript:alert(1)"}, "application.redirect_uri"),
        ({"name": "Lights", "redirect_uri": "https://lights.test https://evil.test"}, "application.redirect_uri"),
        ({"name": "Lights", "redirect_uri": "nonsense"}, "application.redirect_uri"),
        (None, "application"),
    ],
)
def test_name_and_redirect_uri_are_required(ines, application, field):
    response = post(ines, "/oauth/applications", {"application": application})

    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert Application.objects.count() == 1


def test_application_cannot_register_another(client, world, with_scopes):
    new = {"application": {"name": "Lights", "redirect_uri": "https://lights.test"}}

    assert post(with_scopes(world.ines, "manage"), "/oauth/applications", new).status_code == 401
    assert post(client, "/oauth/applications", new).status_code == 401
    assert client.get(f"/oauth/applications/{world.application.pk}").status_code == 401
