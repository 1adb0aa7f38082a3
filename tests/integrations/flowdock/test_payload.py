"""What Flowdock is sent: one shape for each version of the API, and nothing in it that it does not take."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.activity import Action, Activity, Author, Field, Status, Thread
from integrations.flowdock import payload
from integrations.flowdock.posting import write_body

UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
WHOLE = Activity(
    author=Author("Lea Cohen", "https://git.test/lea.png", "lea@example.com"),
    title='opened <a href="https://git.test/7">issue</a>',
    thread_id="issue:7",
    thread=Thread(
        title="Emoji break the export",
        external_url="https://git.test/7",
        status=Status("open", "green"),
        body="<p>Steps</p>",
        fields=(Field("Labels", "bug"),),
        actions=(Action("Open", "https://git.test/7", "at GitHub"),),
    ),
    body="<p>See <b>below</b></p>",
    event="discussion",
)


def sent(activity: Activity) -> dict:
    said: dict = json.loads(write_body("0f3b6a", activity, UUID))
    return said


@pytest.mark.parametrize(
    ("version", "path", "key"),
    [("activities", "/activities", "thread_id"), ("messages", "/messages", "external_thread_id")],
)
def test_each_api_version_has_its_path_and_thread_key(settings, version, path, key):
    settings.FLOWDOCK_API_VERSION = version

    assert payload.path() == path
    assert sent(WHOLE) == {
        "flow_token": "0f3b6a",
        "uuid": str(UUID),
        "event": "discussion",
        "author": {"name": "Lea Cohen", "avatar": "https://git.test/lea.png", "email": "lea@example.com"},
        "title": 'opened <a href="https://git.test/7">issue</a>',
        "body": "<p>See <b>below</b></p>",
        key: "issue:7",
        "thread": {
            "title": "Emoji break the export",
            "external_url": "https://git.test/7",
            "status": {"value": "open", "color": "green"},
            "body": "<p>Steps</p>",
            "fields": [{"label": "Labels", "value": "bug"}],
            "actions": [
                {"@type": "ViewAction", "name": "Open", "url": "https://git.test/7", "description": "at GitHub"}
            ],
        },
    }


def test_empty_values_are_left_out_unless_old_ones_would_stay():
    said = sent(Activity(Author("Lea"), "pushed", "branch:main", Thread("main")))

    assert said["author"] == {"name": "Lea"}
    assert "body" not in said
    assert said["thread"] == {"title": "main", "fields": [], "actions": []}


def activity(html: str) -> Activity:
    return Activity(
        Author("Lea"), f"t{html}", "1", Thread(f"t{html}", body=html, fields=(Field("L", html),)), body=html
    )


def test_titles_and_values_keep_links_only():
    html = '<b>bold</b> <a href="https://git.test/" onclick="x()">link</a><img src="https://git.test/x.png"><script>x</script>'

    said = sent(activity(html))

    kept = 'bold <a href="https://git.test/">link</a>'
    assert said["title"] == f"t{kept}"
    assert said["thread"]["title"] == f"t{kept}"
    assert said["thread"]["fields"] == [{"label": "L", "value": kept}]


def test_bodies_keep_only_tags_that_flowdock_shows():
    html = '<h2>a</h2><table><tr><td colspan="2">b</td></tr></table><img src="https://git.test/x.png" alt="c">'
    unwanted = (
        '<script>x</script><style>x</style><iframe src="https://git.test/"></iframe><form><input></form><!-- x -->'
    )

    said = sent(activity(html + unwanted))

    assert "<h2>a</h2>" in said["body"]
    assert '<td colspan="2">b</td>' in said["body"]
    assert '<img src="https://git.test/x.png" alt="c">' in said["body"]
    for name in ("script", "style", "iframe", "form", "input", "<!--"):
        assert name not in said["body"]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "/app/acme", "//evil.test/", "vbscript:x"]
)
def test_links_without_an_absolute_web_address_are_removed(address):
    said = sent(activity(f'<a href="{address}">x</a>'))

    assert said["title"] == "t<a>x</a>"
    assert said["body"] == "<a>x</a>"


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_at_all_can_be_sent(text):
    written = payload.write(
        Activity(Author(f"n{text}"), f"t{text}", f"i{text}", Thread(f"t{text}", body=text), body=text),
        flow_token="t",
        uuid=UUID,
    )

    everything = json.dumps(written, ensure_ascii=False)
    everything.encode()
    assert "\\u0000" not in everything
    assert "<script" not in written["title"].lower()
