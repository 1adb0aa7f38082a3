"""An application like Flowdock's own example: it requests `profile integration` and uses HTTP only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from .serving import PATIENCE, Server

# One process of pytest-xdist runs the whole module, so that its servers start once.
pytestmark = pytest.mark.xdist_group("outside_application")

REDIRECT = "http://127.0.0.1:9/callback"  # nothing listens there: the test reads the URL
CONFIGURE = "http://127.0.0.1:9/configure"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(Path(tmp_path_factory.mktemp("server")))
    server.seed()
    with server.running():
        yield server


class Outside:
    """An application and the browser of the person who uses it."""

    def __init__(self, server: Server) -> None:
        self.base = f"http://127.0.0.1:{server.port}"
        self.browser = requests.Session()
        self.key: dict[str, str] = {}

    def press(self, path: str, **fields: str) -> requests.Response:
        """Fill in the form of a page and send it."""
        page = self.browser.get(self.base + path, timeout=PATIENCE)
        fields["csrfmiddlewaretoken"] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
        return self.browser.post(page.url, fields, timeout=PATIENCE, allow_redirects=False)

    def register(self) -> dict[str, str]:
        new = {"application": {"name": "Example", "redirect_uri": REDIRECT}}
        answer = requests.post(
            f"{self.base}/oauth/applications", json=new, auth=("ines@example.com", "a password"), timeout=PATIENCE
        )
        return {name: answer.json()[name] for name in ("client_id", "client_secret")}

    def authorize(self, client: dict[str, str], scope: str) -> dict[str, str]:
        """Sign in, allow access, and exchange the code. Returns the token response."""
        self.press("/login", username="ines@example.com", password="a password")
        query = f"client_id={client['client_id']}&response_type=code&scope={scope}"
        allowed = self.press(f"/oauth/authorize?{query}", allow="yes")
        (code,) = parse_qs(urlsplit(allowed.headers["Location"]).query)["code"]
        asked = client | {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        headers = {"Accept": "application/json"}
        answer = requests.post(f"{self.base}/oauth/token", asked, headers=headers, timeout=PATIENCE)
        token: dict[str, str] = answer.json()
        self.key = {"Authorization": f"Bearer {token['access_token']}"}
        return token

    def call(self, method: str, address: str, **body: str) -> requests.Response:
        address = address if address.startswith("http") else self.base + address
        return requests.request(method, address, json=body or None, headers=self.key, timeout=PATIENCE)


def test_profile_and_integration_allow_set_up_configuration_and_removal(server: Server) -> None:
    outside = Outside(server)
    token = outside.authorize(outside.register(), "profile+integration")
    assert set(token["scope"].split()) == {"profile", "integration"}

    # Set-up: read the user and the flow, and create a source.
    assert outside.call("GET", "/user").json()["email"] == "ines@example.com"
    flow = outside.call("GET", "/flows/find?id=acme:lobby").json()
    assert flow["name"] == "Lobby"
    assert "join_url" not in flow
    assert {user["name"]: user.get("email") for user in flow["users"]} == {"Ines": "ines@example.com", "Otto": None}
    new = {"name": "octo/hello", "external_url": "https://git.test/octo/hello"}
    source = outside.call("POST", flow["links"]["sources"]["href"], **new).json()
    flow_token = source["flow_token"]

    # Configuration: read the source and the flow's name, and list the application's sources.
    read = outside.call("GET", source["url"]).json()
    assert {name: read[name] for name in ("id", "name", "external_url")} == {"id": source["id"], **new}
    assert "flow_token" not in read
    assert outside.call("GET", flow["url"]).json()["name"] == "Lobby"
    assert [each["id"] for each in outside.call("GET", f"{flow['url']}/sources").json()] == [source["id"]]

    # The application stores filters itself, and sets the source's configuration URL and error message.
    address = f"{CONFIGURE}/{source['id']}"
    changed = outside.call("PUT", source["url"], configuration_url=address, error_message="No events yet").json()
    assert (changed["configuration_url"], changed["error_message"]) == (address, "No events yet")
    activity = {"event": "activity", "title": "pushed", "author": {"name": "Lea"}, "thread": {"title": "main"}}
    post = {"flow_token": flow_token, "external_thread_id": "main", **activity}
    assert requests.post(f"{outside.base}/messages", json=post, timeout=PATIENCE).status_code == 201

    # Removal: the token ends with its source.
    assert outside.call("DELETE", source["url"]).status_code == 204
    assert requests.post(f"{outside.base}/messages", json=post, timeout=PATIENCE).status_code == 410
    assert outside.call("GET", source["url"]).status_code == 404


def test_profile_and_integration_allow_nothing_else(server: Server) -> None:
    outside = Outside(server)
    outside.authorize(outside.register(), "profile+integration")

    closed = ("/flows", "/flows/acme/main/messages", "/flows/acme/main/users", "/users", "/sources", "/organizations")
    assert {path: outside.call("GET", path).status_code for path in closed} == dict.fromkeys(closed, 403)
    # The source from the seed belongs to another application.
    assert outside.call("GET", "/flows/acme/main/sources").json() == []
