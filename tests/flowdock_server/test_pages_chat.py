"""The chat pages: messages, unread messages, files, search, private conversations, and who can change what."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from flowdock_server.models import Attachment, Conversation, FlowMembership, Message, PrivateMessage, User
from flowdock_server.posting import messages
from flowdock_server.posting.drafts import Draft

from .pages import address, browser, post_activity, see, thread_of

CHAT = "/app/acme/lobby/chat"


def say(world, user, content, **given):
    return messages.post(Draft(event="message", content=content, **given), flow=world.lobby, user=user)


def shown(response) -> list[int]:
    """The numbers of the messages on the page, in their order."""
    return [int(given["data-key"]) for given in see(response).all("li", "line")]


def picture(name: str = "harbour.png") -> SimpleUploadedFile:
    written = io.BytesIO()
    Image.new("RGB", (640, 360)).save(written, "PNG")
    return SimpleUploadedFile(name, written.getvalue(), "image/png")


def test_a_posted_message_is_shown_to_other_members_under_its_authors_name(world):
    answer = browser(world.ines).post(f"{CHAT}/messages", {"content": "Hello <all>\n\nof you", "form_key": "one"})

    assert answer["Location"] == CHAT
    message = Message.objects.get()
    assert (message.event, message.user, message.flow) == ("message", world.ines, world.lobby)
    html = browser(world.otto).get(CHAT).content.decode()
    assert "<p>Hello &lt;all&gt;</p><p>of you</p>" in html
    assert browser(world.sam).get(CHAT).status_code == 404


def test_pressing_send_twice_posts_once(world):
    person = browser(world.ines)
    for _ in range(2):
        person.post(f"{CHAT}/messages", {"content": "Once", "form_key": "one"})
    person.post(f"{CHAT}/messages", {"content": "Once", "form_key": "two"})

    assert Message.objects.count() == 2


def test_a_message_that_is_too_long_stays_in_the_form(world):
    answer = browser(world.ines).post(f"{CHAT}/messages", {"content": "a" * 8100, "form_key": "one"})

    assert answer.status_code == 400
    assert "4 characters too long" in answer.content.decode()
    assert not Message.objects.exists()


def test_mentions_and_tags_are_highlighted_and_can_be_searched(world):
    mine = say(world, world.otto, "@ines look at #Deploy, @nobody")
    say(world, world.otto, "Something else")

    person = browser(world.ines)
    html = person.get(CHAT).content.decode()
    assert '<b class="mention is-me">@ines</b>' in html
    assert f'href="{CHAT}?tag=deploy">#Deploy</a>' in html
    assert "@nobody</b>" not in html
    assert [given["id"] for given in see(person.get(CHAT)).all("li", "names-me")] == [f"message-{mine.number}"]
    assert not see(browser(world.otto).get(CHAT)).all("li", "names-me")
    assert shown(person.get(CHAT, {"tag": "deploy"})) == [mine.number]
    assert shown(person.get(CHAT, {"q": "look"})) == [mine.number]


def test_new_messages_begin_with_a_line(world):
    person = browser(world.ines)
    say(world, world.otto, "Before")
    person.get(CHAT)
    say(world, world.ines, "My own")
    later = say(world, world.otto, "After")

    html = person.get(CHAT).content.decode()
    assert html.index('id="new"') < html.index(f'id="message-{later.number}"')
    assert html.index('id="new"') > html.index("My own")
    assert 'id="new"' not in person.get(CHAT).content.decode()


def test_messages_fetched_in_the_background_stay_unread(world):
    say(world, world.otto, "Before")
    last = say(world, world.otto, "After").number
    person = browser(world.ines)

    person.get(f"{CHAT}/lines?unseen=1")
    person.get(f"{CHAT}?before={last}")
    membership = FlowMembership.objects.get(user=world.ines, flow=world.lobby)
    assert membership.last_read_number == 0
    assert "(2) Lobby · Acme" not in see(person.get(CHAT)).text  # now it is read
    membership.refresh_from_db()
    assert membership.last_read_number == last


def test_older_messages_are_shown_page_by_page(world, django_assert_num_queries):
    for number in range(130):
        say(world, world.otto, f"Number {number}")
    person = browser(world.ines)
    person.get(CHAT)

    # session, person, flow, flows, conversations, people, messages, files
    with django_assert_num_queries(8):
        response = person.get(CHAT)
    pages = [shown(response)]
    while earlier := [given["href"] for given in see(response).all("a") if given.get("id") == "earlier"]:
        response = person.get(earlier[0])
        pages.insert(0, shown(response))
    assert [number for page in pages for number in page] == list(range(1, 131))
    assert 40 in shown(person.get(CHAT, {"at": 40}))


def test_pictures_are_shown_as_thumbnails_and_other_files_as_links(world):
    person = browser(world.ines)
    files = [picture(), SimpleUploadedFile("notes.txt", b"hello", "text/plain")]
    person.post(f"{CHAT}/messages", {"content": "Look", "form_key": "one", "files": files})

    image, text = Attachment.objects.order_by("pk")
    seen = see(browser(world.otto).get(CHAT))
    base = address(world.lobby, "/files")
    assert [given["src"] for given in seen.all("img") if "/files/" in given["src"]] == [f"{base}/{image.key}/thumbnail"]
    assert f"{base}/{text.key}" in seen.links()
    answer = browser(world.otto).get(f"{base}/{image.key}/thumbnail")
    assert answer.status_code == 302
    assert browser().get(answer["Location"].removeprefix("http://testserver")).status_code == 200
    assert browser(world.sam).get(f"{base}/{image.key}").status_code == 404
    assert browser(world.ines).get(address(world.main, f"/files/{image.key}")).status_code == 404


def test_only_its_author_can_edit_and_delete_a_message(world):
    number = say(world, world.ines, "Frist").number
    edit = f"{CHAT}/{number}/edit"
    assert browser(world.otto).get(edit).status_code == 404
    assert browser(world.otto).post(edit, {"content": "Hacked"}).status_code == 404
    person = browser(world.ines)

    person.post(edit, {"content": "First"})
    message = Message.objects.get(number=number)
    assert (message.content, message.edited_at is not None) == ("First", True)
    assert person.post(edit, {"content": " "}).status_code == 400

    browser(world.otto).post(f"{CHAT}/{number}/delete")
    message.refresh_from_db()
    assert message.content == "First"
    person.post(f"{CHAT}/{number}/delete")
    assert "This message was deleted." in person.get(CHAT).content.decode()


def test_replies_are_shown_below_their_message(world):
    root = say(world, world.otto, "Shall we deploy?")
    draft = Draft(event="comment", content="Yes", message=root.number)
    comment = messages.post(draft, flow=world.lobby, user=world.ines)
    person = browser(world.ines)

    page = person.get(f"{CHAT}/{root.number}")

    assert "No replies yet" not in page.content.decode()
    assert "1 reply" in person.get(CHAT).content.decode()
    assert person.get(f"{CHAT}/{comment.number}")["Location"] == f"{CHAT}/{root.number}#message-{comment.number}"


def test_a_comment_on_an_inbox_thread_links_to_the_thread(world, connect):
    source, _ = connect(flow=world.lobby)
    thread = thread_of(post_activity(source))
    number = say(world, world.otto, "Seen", thread_id=thread.pk).number

    links = see(browser(world.ines).get(CHAT)).links()

    assert f"{thread.get_absolute_url()}#message-{number}" in links
    assert browser(world.ines).get(f"{CHAT}/{number}").status_code == 302


def test_a_status_is_posted_and_shown_beside_the_name(world):
    browser(world.otto).post(address(world.lobby, "/status"), {"status": " at   lunch "})

    assert User.objects.get(pk=world.otto.pk).status == "at lunch"
    text = " ".join(see(browser(world.ines).get(CHAT)).text.split())
    assert "Otto Berg set a status: at lunch" in text


def test_an_archived_flow_can_be_read_but_not_written_to(world):
    say(world, world.otto, "Before")
    type(world.lobby).objects.filter(pk=world.lobby.pk).update(disabled=True)
    person = browser(world.ines)

    page = person.get(CHAT)
    assert "is archived" in page.content.decode()
    assert person.post(f"{CHAT}/messages", {"content": "After", "form_key": "one"}).status_code == 400
    assert Message.objects.count() == 1


@pytest.mark.parametrize("query", ["before=x", "at=-1", "line=99999999999999999999"])
def test_invalid_parameters_are_refused(world, query):
    assert browser(world.ines).get(f"{CHAT}?{query}").status_code == 400


def test_only_the_two_people_can_open_a_private_conversation(world):
    path = f"/app/private/{world.otto.pk}"
    browser(world.ines).post(f"{path}/messages", {"content": "Psst", "form_key": "one"})
    browser(world.ines).post(f"{path}/messages", {"content": "Psst", "form_key": "one"})

    assert PrivateMessage.objects.count() == 1
    other = browser(world.otto)
    assert "1 unread" in other.get("/app/private").content.decode()
    assert "Psst" in other.get(f"/app/private/{world.ines.pk}").content.decode()
    assert "1 unread" not in other.get("/app/private").content.decode()
    assert browser(world.sam).get(f"/app/private/{world.ines.pk}").status_code == 404
    assert browser(world.ines).get(f"/app/private/{world.ines.pk}").status_code == 404
    browser(world.otto).post(f"/app/private/{world.ines.pk}/close")
    conversation = Conversation.objects.get()
    assert not conversation.is_open_for(world.otto)


def test_private_files_can_be_sent_opened_and_deleted_on_the_page(world, client):
    path = f"/app/private/{world.otto.pk}"
    person, other = browser(world.ines), browser(world.otto)
    for _ in range(2):  # a second press of the button sends nothing again
        person.post(f"{path}/messages", {"files": picture("chart.png"), "content": "Look", "form_key": "one"})

    sent = PrivateMessage.objects.get(event="file")
    seen = see(other.get(f"/app/private/{world.ines.pk}"))
    address = sent.attachments.get().path
    assert address in [link.get("href") for link in seen.all("a")]
    assert other.get(address).status_code == 302
    assert browser(world.sam).get(address).status_code == 404
    assert PrivateMessage.objects.count() == 2

    other.post(f"/app/private/{world.ines.pk}/{sent.number}/delete")
    assert PrivateMessage.objects.count() == 2
    person.post(f"{path}/{sent.number}/delete")
    person.post(f"{path}/{sent.number}/delete")
    assert list(PrivateMessage.objects.values_list("content", flat=True)) == ["Look"]


def test_private_messages_can_be_edited_and_deleted_on_the_page(world):
    path = f"/app/private/{world.otto.pk}"
    person, other = browser(world.ines), browser(world.otto)
    person.post(f"{path}/messages", {"content": "Psst", "form_key": "one"})
    seen = see(person.get(path))
    assert f"{path}/1/edit" in [link.get("href") for link in seen.all("a")]
    assert f"/app/private/{world.ines.pk}/1/edit" not in other.get(f"/app/private/{world.ines.pk}").content.decode()
    assert other.get(f"/app/private/{world.ines.pk}/1/edit").status_code == 404
    assert "Psst" in person.get(f"{path}/1/edit").content.decode()

    assert person.post(f"{path}/1/edit", {"content": ""}).status_code == 400
    assert person.post(f"{path}/1/edit", {"content": "Hush"}).status_code == 302
    page = other.get(f"/app/private/{world.ines.pk}").content.decode()
    assert "Hush" in page
    assert "(edited)" in page
    assert "updated_content" not in page
    assert "Hush" in person.get(f"{path}/1/line").content.decode()
    assert "1 unread" not in other.get("/app/private").content.decode()

    person.post(f"{path}/1/delete")
    assert "This message was deleted" in other.get(f"/app/private/{world.ines.pk}").content.decode()
    assert person.get(f"{path}/1/line").status_code == 200
    assert browser(world.sam).get(f"{path}/1/line").status_code == 404


def test_search_finds_prefixes_of_words_ignoring_case_and_accents_and_file_names(world):
    found = say(world, world.otto, "Die Fähre legt um NEUN ab")
    say(world, world.otto, "Neun Uhr")
    browser(world.otto).post(f"{CHAT}/messages", {"files": picture("timetable.png"), "form_key": "one"})
    person = browser(world.ines)

    assert shown(person.get(CHAT, {"q": "neun fahr"})) == [found.number]
    assert len(shown(person.get(CHAT, {"q": "timetab"}))) == 1
    assert shown(person.get(CHAT, {"q": "..."})) == []
    assert "No matching messages" in person.get(CHAT, {"q": "nowhere"}).content.decode()


def test_search_results_are_shown_page_by_page(world):
    numbers = [say(world, world.otto, f"Tide {count}").number for count in range(70)]
    person = browser(world.ines)

    first = shown(person.get(CHAT, {"q": "tide"}))

    assert first == numbers[-60:]
    assert shown(person.get(CHAT, {"q": "tide", "before": first[0]})) == numbers[:10]


def test_mark_all_as_read_includes_messages_that_a_filter_hides(world):
    say(world, world.otto, "About the #tide")
    last = say(world, world.otto, "About something else").number
    person = browser(world.ines)
    seen = see(person.get(CHAT, {"tag": "tide"}))
    assert f"{CHAT}/read" in [given.get("action") for given in seen.all("form")]

    person.post(f"{CHAT}/read", {"number": seen.value("number")})

    assert FlowMembership.objects.get(user=world.ines, flow=world.lobby).last_read_number == last
    seen = see(person.get(CHAT, {"tag": "tide"}))
    assert f"{CHAT}/read" not in [given.get("action") for given in seen.all("form")]
