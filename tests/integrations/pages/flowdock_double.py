"""A Flowdock that is only `responses`: people, flows and sources, at the network's edge."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
import responses
from django.utils import timezone

API = "https://flowdock.test"
MAIN = "b1c2d3e4-main"
LOBBY = "b1c2d3e4-lobby"

Answer = tuple[int, dict[str, str], str]


class FlowdockDouble:
    """People sign in by a code, which is their nick; their token is "token-<nick>". `broken` stands for outages."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.mock = mock
        self.people = {
            "demo": {"id": 1, "nick": "demo", "name": "Demo Dean", "email": "demo@example.com"},
            "other": {"id": 2, "nick": "other", "name": "Olive Other", "email": "other@example.com"},
            "lone": {"id": 3, "nick": "lone", "name": "Lone Ranger", "email": "lone@example.com"},
        }
        self.members = {MAIN: {"demo"}, LOBBY: {"demo", "other"}}
        self.names = {MAIN: "Main", LOBBY: "Lobby"}
        self.organizations = {MAIN: "acme", LOBBY: "acme"}
        self.scopes: dict[str, set[str]] = {}  # what a person has allowed, as the consent page was asked for
        self.sources: dict[int, dict[str, Any]] = {}
        self.updates: list[dict[str, Any]] = []
        self.expires_in: int | None = 7200
        self.refused_tokens: set[str] = set()
        # What happens to calls whose "METHOD /path" matches, instead of an answer or after it was carried out.
        self.broken: dict[str, Answer | Exception] = {}
        self.losing_answers: set[str] = set()
        self.calls: list[str] = []
        for method in ("GET", "POST", "PUT", "DELETE"):
            mock.add_callback(method, re.compile(rf"{API}/.*"), callback=self._answer)

    def flow(self, flow_id: str) -> dict[str, Any]:
        slug = self.names[flow_id].lower()
        return {
            "id": flow_id,
            "name": self.names[flow_id],
            "parameterized_name": slug,
            "organization": {
                "name": self.organizations[flow_id].capitalize(),
                "parameterized_name": self.organizations[flow_id],
            },
            "url": f"{API}/flows/acme/{slug}",
            "web_url": f"https://www.flowdock.test/app/acme/{slug}",
            "links": {"sources": {"href": f"{API}/flows/acme/{slug}/integrations", "methods": ["GET", "POST"]}},
        }

    def _answer(self, request: requests.PreparedRequest) -> Answer:
        path = urlsplit(request.url or "").path
        call = f"{request.method} {path}"
        self.calls.append(call)
        trouble = next((what for pattern, what in self.broken.items() if re.fullmatch(pattern, call)), None)
        if isinstance(trouble, Exception):
            raise trouble
        if trouble:
            return trouble
        answer = self._respond(request, path)
        if any(re.fullmatch(pattern, call) for pattern in self.losing_answers):
            raise requests.ReadTimeout("the answer was lost on its way")
        return answer

    def _respond(self, request: requests.PreparedRequest, path: str) -> Answer:
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        if path == "/oauth/token":
            return self._token(parse_qs(body))
        if path == "/oauth/revoke":
            form = parse_qs(body)
            assert (form["client_id"], form["client_secret"]) == (["bridge"], ["bridge-secret"])
            self.refused_tokens.add(form["token"][0].removeprefix("token-"))
            return 200, {}, ""
        said = json.loads(body) if body else {}
        if (request.method, path) == ("PUT", "/sources"):
            self.updates.append(said)
            return _json(200, {})
        query = parse_qs(urlsplit(request.url or "").query)
        if (request.method, path) == ("GET", "/sources"):
            token = query["flow_token"][0]
            return _json(
                200, [self._shown(source) for source in self.sources.values() if source["flow_token"] == token]
            )
        nick = str(request.headers.get("Authorization", "")).removeprefix("Bearer token-")
        if nick not in self.people or nick in self.refused_tokens:
            return _json(401, {"message": "no such token"})
        if path == "/user":
            return _json(200, self.people[nick])
        if path == "/flows" and "flow" not in self.scopes.get(nick, {"flow"}):
            return _json(403, {"message": "the scope flow is missing"})
        if path == "/flows":
            return _json(200, [self.flow(flow) for flow, members in self.members.items() if nick in members])
        if path == "/flows/find":
            flow_id = query["id"][0]
            return _json(200, self.flow(flow_id)) if nick in self.members.get(flow_id, ()) else _json(404, {})
        return self._flow_sources(request, path, nick, said)

    def _token(self, form: dict[str, list[str]]) -> Answer:
        assert form["redirect_uri"] == ["http://bridge.test/complete/flowdock/"]
        assert (form["client_id"], form["client_secret"]) == (["bridge"], ["bridge-secret"])
        if form["code"][0] not in self.people:
            return _json(400, {"error": "invalid_grant"})
        answer: dict[str, Any] = {"access_token": f"token-{form['code'][0]}", "token_type": "bearer"}
        return _json(200, answer | ({"expires_in": self.expires_in} if self.expires_in else {}))

    def _flow_sources(self, request: requests.PreparedRequest, path: str, nick: str, said: dict[str, Any]) -> Answer:
        match = re.fullmatch(r"/flows/acme/(\w+)/(?:integrations|sources)(?:/(\d+))?", path)
        flow_id = next((flow for flow, name in self.names.items() if match and name.lower() == match[1]), "")
        if not match or nick not in self.members.get(flow_id, ()):
            return _json(404, {"message": "not found"})
        match (request.method, match[2]):
            case "GET", None:
                return _json(
                    200, [self._shown(source) for source in self.sources.values() if source["flow"] == flow_id]
                )
            case "POST", None:
                return _json(201, self._shown(self.add_source(flow_id, nick, **said), with_token=True))
            case "DELETE", number if int(number) in self.sources:
                del self.sources[int(number)]
                return 204, {}, ""
        return _json(404, {"message": "not found"})

    def add_source(self, flow_id: str, nick: str, name: str, external_url: str = "") -> dict[str, Any]:
        number = 50 + len(self.sources) + 1
        self.sources[number] = {
            "id": number,
            "flow": flow_id,
            "name": name,
            "external_url": external_url,
            "flow_token": f"{number:032x}",
            "url": f"{API}/flows/acme/{self.names[flow_id].lower()}/integrations/{number}",
            "creator": {"id": self.people[nick]["id"]},
            "created_at": timezone.now().isoformat(),
        }
        return self.sources[number]

    def _shown(self, source: dict[str, Any], with_token: bool = False) -> dict[str, Any]:
        return {name: value for name, value in source.items() if with_token or name != "flow_token"}


def _json(status: int, said: object) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(said)
