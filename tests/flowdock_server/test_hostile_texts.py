"""64 KB of hostile text, through the API and on pages, is handled in a time that is proportional to its length."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from flowdock_server.models import Message, Thread

from .conftest import activity, post
from .pages import address, browser

LENGTH = 64 * 1024
SLOWEST = 3.0  # seconds of processor time; quadratic time would be minutes

PIECES = {
    "brackets": "[", "closing brackets": "]", "links": "[](", "pictures": "![", "stars": "*", "underscores": "_",
    "less": "<", "tags": "<b ", "open tags": "<div>", "links in HTML": "<a href='", "comments": "<!--", "at": "@",
    "mentions": "@a ", "mention upon mention": "@a@", "hashes": "#", "hashtags": "#a ", "tag upon tag": "#a#",
    "ticks": "`", "code": "`a", "fences": "```\n", "ampersands": "&", "references": "&#1;", "open references": "&#",
    "parentheses": "(", "quotes": '"', "apostrophes": "'", "backslashes": "\\", "addresses": "https://a.b/ ",
    "address upon address": "http://", "an address without an end": "a.", "mail": "a@b.c ", "mail upon mail": "a@",
    "schemes": "mailto:", "slashes": "/", "colons": ":", "dots": ".", "hyphens": "-", "blanks": " ", "lines": "\n",
    "indented lines": "    a\n", "combining": "\u0301", "ligatures": "\ufdfa", "joiners": "\u200d",
    "overrides": "\u202e", "words": "a ", "a word": "a", "halves": "\ud83d",
}  # fmt: skip


def texts(piece: str, *starts: str) -> list[str]:
    return [start + piece * (LENGTH // len(piece)) for start in ("", *starts)]


def timed(call, *args, **kwargs):
    """The response, which must be successful and fast."""
    begun = time.process_time()
    answer = call(*args, **kwargs)
    taken = time.process_time() - begun
    assert answer.status_code < 500, (args, answer.content[:200])
    assert taken < SLOWEST, (taken, str(args)[:100])
    return answer


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_activity_with_hostile_text_is_posted_and_shown_quickly(world, connect, as_person, piece):
    _, token = connect(world.main)
    person, api = browser(world.ines), as_person(world.ines)
    for text in texts(piece, "<a title='"):
        sent = activity(
            title=text, body=text, author={"name": text[:255]}, tags=[text[:100]],
            thread={"title": text, "body": text, "fields": [{"label": text[:100], "value": text}],
                    "status": {"value": text[:255], "color": "green"}},
        )  # fmt: skip
        timed(post, Client(), f"/messages?flow_token={token}", {"flow_token": token, **sent})

    for thread in Thread.objects.all():
        timed(person.get, address(world.main, f"/threads/{thread.pk}"))
    timed(person.get, address(world.main))
    timed(api.get, "/flows/acme/main/messages")
    timed(api.get, "/flows/acme/main/threads")


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_chat_with_hostile_text_is_posted_and_shown_quickly(world, as_person, piece):
    person, api = browser(world.ines), as_person(world.ines)
    for text in texts(piece, "```", "@"):
        said = {"event": "message", "content": text[:8096], "tags": [text[:100]]}
        timed(post, api, "/flows/acme/main/messages", said)
        timed(post, api, "/flows/acme/main/messages", said | {"content": text})
        timed(post, api, f"/private/{world.otto.pk}/messages", said)
    searched = texts(piece)[0].encode(errors="replace").decode()
    timed(api.get, "/flows/acme/main/messages", {"search": searched, "tags": searched})
    timed(person.get, address(world.main, "/chat"), {"q": searched, "tag": searched})
    timed(person.get, address(world.main), {"q": searched})
    said = Message.objects.filter(event="message").values_list("content", flat=True)

    timed(person.get, address(world.main, "/chat"))
    timed(person.get, f"/app/private/{world.otto.pk}")
    timed(api.get, "/flows/acme/main/messages")
    assert all(len(text) <= 8096 for text in said)
