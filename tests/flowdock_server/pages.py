"""Shared by the tests of pages: a browser for a user, and the elements and text of a page."""

from __future__ import annotations

from html.parser import HTMLParser

from django.test import Client

from flowdock_server.models import Flow, Message, Source, Thread, User
from flowdock_server.posting.drafts import Draft
from flowdock_server.posting.messages import post

from .conftest import activity


def browser(user: User | None = None, **kwargs: bool) -> Client:
    """A browser, signed in as `user` if given."""
    client = Client(**kwargs)
    if user:
        client.force_login(user)
    return client


def post_activity(source: Source, key: str = "pr:42", **changes: object) -> Message:
    """Post an activity, as conftest.activity has it, from `source` to its flow."""
    return post(Draft.model_validate(activity(external_thread_id=key, **changes)), flow=source.flow, source=source)


def thread_of(message: Message) -> Thread:
    return Thread.objects.get(pk=message.thread_id)


def address(flow: Flow, rest: str = "") -> str:
    return f"/app/{flow.organization.parameterized_name}/{flow.parameterized_name}{rest}"


class Seen(HTMLParser):
    """The elements of a page, as (tag, attributes), and its text, without those in a <template>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.in_template = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_template = self.in_template or tag == "template"
        if not self.in_template:
            self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag == "template":
            self.in_template = False

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, css: str = "") -> list[dict[str, str | None]]:
        """The attributes of the elements with this tag and, if given, this class."""
        found = [given for name, given in self.elements if name == tag]
        return [given for given in found if not css or css in (given.get("class") or "").split()]

    def links(self) -> list[str]:
        return [given["href"] or "" for given in self.all("a") if "href" in given]

    def value(self, name: str) -> str:
        """The value of the first field with this name."""
        return next(given.get("value") or "" for given in self.all("input") if given.get("name") == name)


def see(response) -> Seen:
    return Seen(response.content.decode())
