"""No text on any page becomes a tag or an attribute, whatever its origin."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from flowdock_server.models import ApiToken, Flow, Message, Source, Thread
from flowdock_server.people import invitations, members
from flowdock_server.posting.drafts import Draft
from flowdock_server.posting.messages import post
from tests.planting import HOSTILE, WORD, plant, structure

from .pages import address, browser

# All texts of others that pages show, so that a missing one is noticed.
SHOWN = {
    "Application.description", "Application.name", "Attachment.file_name", "ApiToken.name", "Flow.name",
    "Invitation.email", "Invitation.message", "Message.author_name", "Message.body", "Message.content", "Message.data",
    "Message.external_user_name", "Message.title", "Message.tags", "Organization.name", "PrivateMessage.content",
    "Source.name", "Source.external_url", "Source.error_message", "Tag.name", "Thread.actions", "Thread.body",
    "Thread.external_url", "Thread.fields", "Thread.last_author", "Thread.last_title", "Thread.status_value",
    "Thread.title", "User.email", "User.name", "User.nick", "User.status", "User.avatar", "Application.icon",
    "Application.setup_uri", "Application.configuration_uri", "Source.configuration_url", "Message.author_avatar",
}  # fmt: skip


@pytest.fixture
def told(world) -> None:
    """Every kind of text that a page shows, with the word in it."""
    for user in (world.ines, world.otto):
        user.name, user.nick, user.status = f"{user.name} {WORD}", f"{user.pk}{WORD}", f"At sea: {WORD}"
        user.email, user.avatar = f"{user.pk}{WORD}@example.com", f"https://pictures.test/{WORD}.png"
        user.save()
    for named in (world.acme, world.main, world.lobby, world.application):
        named.name = f"{named.name} {WORD}"
    world.application.description = f"Tells the {WORD}"
    world.application.icon = f"https://pictures.test/{WORD}.png"
    world.application.setup_uri = world.application.configuration_uri = f"https://lights.test/{WORD}"
    for row in (world.acme, world.main, world.lobby, world.application):
        row.save()
    Flow.objects.create(
        organization=world.acme, name=f"Pools {WORD}", parameterized_name="pools", access_mode="organization"
    )
    source, _ = Source.connect(
        flow=world.lobby,
        application=world.application,
        creator=world.ines,
        name=f"octo/{WORD}",
        external_url=f"https://git.test/{WORD}",
    )
    Source.objects.update(error_message=f"No {WORD} today", configuration_url=f"https://lights.test/{WORD}")
    thread = {
        "title": f"High {WORD}",
        "body": f'<p>{WORD} <a href="https://git.test/" title="low">{WORD}</a></p>',
        "external_url": f"https://git.test/{WORD}",
        "status": {"value": f"at {WORD}", "color": "green"},
        "fields": [{"label": f"The {WORD}", "value": f"{WORD} <a href='https://git.test/'>{WORD}</a>"}],
        "actions": [
            {"@type": "ViewAction", "name": WORD, "description": WORD, "url": "https://git.test/"},
            {"@type": "UpdateAction", "name": WORD, "description": WORD,
             "target": {"@type": "EntryPoint", "urlTemplate": "https://git.test/", "httpMethod": "POST"}},
        ],
    }  # fmt: skip
    author = {"name": f"Lea {WORD}", "email": f"lea@{WORD}.example", "avatar": f"https://pictures.test/{WORD}.png"}
    for event in ("activity", "discussion"):
        draft = {
            "event": event, "external_thread_id": "pr:42", "author": author, "thread": thread,
            "title": f"told the {WORD}", "body": f"<p>{WORD}</p>", "tags": [WORD], "external_user_name": "",
        }  # fmt: skip
        activity = post(Draft.model_validate(draft), flow=world.lobby, source=source)
    said = post(Draft(event="message", content=f"#low `{WORD}` https://git.test/ {WORD}", tags=[WORD],
                      external_user_name=f"Sam {WORD}"), flow=world.lobby, user=world.otto)  # fmt: skip
    post(Draft(event="comment", content=WORD, message=said.number), flow=world.lobby, user=world.otto)
    post(Draft(event="comment", content=WORD, message=activity.number), flow=world.lobby, user=world.otto)
    post(Draft(event="message", content=f"own {WORD}"), flow=world.lobby, user=world.ines)
    upload = SimpleUploadedFile(f"{WORD}.txt", b"low", "text/plain")
    browser(world.ines).post(f"{CHAT}/messages", {"content": "", "form_key": "file", "files": upload})
    members.post_action(world.lobby, "invite", {"email": f"{WORD}@example.com"}, by=world.ines)
    invitations.invite(world.lobby, f"{WORD}@example.com", by=world.ines, message=f"Come for the {WORD}")
    browser(world.otto).post(
        f"/app/private/{world.ines.pk}/messages", {"content": f"Privately: {WORD}", "form_key": "private"}
    )
    ApiToken.issue(world.ines, f"for the {WORD}")


CHAT = "/app/acme/lobby/chat"


def pages_of(world) -> list[str]:
    """All pages that show texts of others, in all their variants."""
    thread = Thread.objects.get(source__isnull=False)
    told = Message.objects.filter(event="activity").first().number
    own = Message.objects.filter(user=world.ines, event="message").first().number
    said = Message.objects.filter(user=world.otto, event="message").first().number
    application = f"/account/applications/{world.application.pk}"
    return [
        "/app", "/app/acme", "/app/private", f"/app/private/{world.otto.pk}", f"/app/private/{world.otto.pk}/lines",
        "/account", "/account/applications", application,
        *(address(world.lobby, rest) for rest in (
            "", "?show=all", "?source=1", "?q=high", "/list", "/list?show=all", f"/threads/{thread.pk}",
            f"/threads/{thread.pk}/pane", f"/messages/{told}/delete",
            "/chat", "/chat?tag=low", "/chat/lines", f"/chat/{said}", f"/chat/{said}/pane", f"/chat/{said}/line",
            f"/chat/{own}/edit", "/settings", "/settings/flow", "/settings/people",
        )),
        f"/join/{Flow.objects.get(parameterized_name='pools').pk}",
        "/oauth/authorize?client_id=build-lights&response_type=code&redirect_uri=https://lights.test/callback&scope=flow",
    ]  # fmt: skip


def read(client: Client, pages: list[str]) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    found = {}
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        found[page] = structure(answer.content.decode())
    return found


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("remote_images", [False, True])
def test_page_has_the_same_elements_for_all_texts(world, told, settings, remote_images, text):
    settings.REMOTE_IMAGES = remote_images
    client, pages = browser(world.ines), pages_of(world)
    client.get(address(world.lobby, "/chat"))
    read(client, pages)  # new messages count as seen from now on
    before = read(client, pages)

    planted = plant(text, "flowdock_server")

    assert planted >= SHOWN
    after = read(client, pages)
    for page in pages:
        assert after[page] == before[page], page
