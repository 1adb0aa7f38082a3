"""Reads threads and messages of a flow through Flowdock's API, for the tests."""

from __future__ import annotations

from typing import Any

import requests

from tests.stack import Stack


class Flow:
    """The flow acme/<name>, read over the API with a personal token of the demo account."""

    def __init__(self, stack: Stack, name: str = "main") -> None:
        self.url = f"{stack.flowdock}/flows/acme/{name}"
        self.session = requests.Session()
        self.session.trust_env = False
        # Not the password, whose slow hash every call would check.
        self.session.auth = (stack.serve("issue_token", "demo@example.com").stdout.strip(), "")

    def get(self, path: str, **parameters: object) -> Any:
        response = self.session.get(f"{self.url}{path}", params={**parameters}, timeout=30)
        response.raise_for_status()
        return response.json()

    def threads(self) -> dict[str, dict[str, Any]]:
        """Threads by title; of two with the same title, the newer one."""
        pages, url = [], f"{self.url}/threads"
        while url:
            response = self.session.get(url, timeout=30)
            response.raise_for_status()
            pages.append(response.json())
            url = response.links.get("next", {}).get("url", "") if pages[-1] else ""
        return {thread["title"]: thread for page in reversed(pages) for thread in reversed(page)}

    def messages(self, thread: dict[str, Any]) -> list[dict[str, Any]]:
        """All messages of a thread, oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            since = {"since_id": found[-1]["id"]} if found else {}
            page = self.get(f"/threads/{thread['id']}/messages", sort="asc", limit=100, **since)
            if not page:
                return found
            found += page

    def sources(self) -> list[dict[str, Any]]:
        return list(self.get("/sources"))
