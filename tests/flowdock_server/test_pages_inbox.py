"""The team inbox: threads newest first, filters, search, one thread with its timeline, and comments."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flowdock_server.models import Message, Thread
from flowdock_server.pages.filters import PAGE
from flowdock_server.pages.inbox import TIMELINE
from flowdock_server.posting.chat_threads import thread_id
from flowdock_server.posting.drafts import Draft
from flowdock_server.posting.messages import post

from .pages import Seen, address, browser, post_activity, see, thread_of


def state(title: str, value: str = "open", color: str = "green") -> dict:
    return {"title": title, "status": {"value": value, "color": color}}


def many_threads(source, count: int) -> None:
    now = timezone.now()
    Thread.objects.bulk_create(
        Thread(
            flow=source.flow,
            source=source,
            external_thread_id=f"issue:{number}",
            title=f"Issue {number}",
            activities=1,
            last_author="Lea Cohen",
            last_title="opened issue",
            updated_at=now - timedelta(minutes=number),
        )
        for number in range(count)
    )


def many_messages(thread: Thread, count: int) -> None:
    first = thread.flow.last_number + 1
    Message.objects.bulk_create(
        Message(
            flow=thread.flow,
            number=first + number,
            thread=thread,
            source=thread.source,
            event="activity" if number % 2 else "discussion",
            author_name=f"Person {number % 7}",
            title=f"did thing {number}.",
            body="<p>And said why.</p>",
        )
        for number in range(count)
    )


def listed(response) -> list[str]:
    """The keys of the threads in the list, in their order."""
    return [given["data-key"] for given in see(response).all("li", "thread-row")]


def said(response) -> list[int]:
    """The numbers of the messages in the timeline, in their order."""
    rows = see(response).all("li")
    return [int(given["data-key"]) for given in rows if (given.get("id") or "").startswith("message-")]


def comment(person, path: str, content: str, form_key: str | None = None):
    key = form_key if form_key is not None else see(person.get(path)).value("form_key")
    return person.post(f"{path}/comments", {"content": content, "form_key": key})


# The list


def test_the_thread_with_the_latest_activity_is_first(world, connect):
    source, _ = connect()
    older, newer = post_activity(source, "issue:1"), post_activity(source, "issue:2")
    person = browser(world.ines)
    assert listed(person.get(address(world.main))) == [newer.thread_id, older.thread_id]

    post_activity(source, "issue:1", title="closed issue", thread=state("Warn before low tide", "closed", "black"))

    response = person.get(address(world.main))
    assert listed(response) == [older.thread_id, newer.thread_id]
    assert "Lea Cohen closed issue" in see(response).text


def test_a_row_shows_title_status_and_number_of_comments(world, connect):
    source, _ = connect()
    in_review = state("Warn before low tide", "in review", "yellow")
    post_activity(source, thread=in_review)
    post_activity(source, event="discussion", title="commented", body="<p>Why?</p>", thread=in_review)

    seen = see(browser(world.ines).get(address(world.main)))

    assert seen.all("span", "pill-yellow")
    assert "in review" in seen.text
    assert "1 comment" in seen.text


def test_chat_messages_are_not_in_the_inbox(world, connect):
    conversation = Thread.objects.create(flow=world.main, title="", internal_comments=1)

    assert listed(browser(world.ines).get(address(world.main))) == []
    assert browser(world.ines).get(conversation.get_absolute_url()).status_code == 200


def test_an_empty_inbox_shows_how_to_add_an_application(world):
    seen = see(browser(world.ines).get(address(world.main)))

    assert "No threads yet" in seen.text
    assert "/app/acme/main/settings" in seen.links()


def test_filters_by_source_and_status_are_combined(world, connect):
    hello, _ = connect(name="octo/hello")
    other, _ = connect(name="octo/other")
    post_activity(hello, "1", thread=state("One", "open"))
    wanted = post_activity(hello, "2", thread=state("Two", "closed", "black"))
    post_activity(other, "3", thread=state("Three", "closed", "black"))

    response = browser(world.ines).get(address(world.main), {"source": hello.pk, "status": "closed"})

    assert listed(response) == [wanted.thread_id]
    links = see(response).links()
    assert f"/app/acme/main?source={other.pk}&status=closed" in links  # the other source, the same status
    assert f"/app/acme/main?source={hello.pk}" in links  # the status let go
    assert f"/app/acme/main/threads/{wanted.thread_id}?source={hello.pk}&status=closed" in links


def test_filters_show_the_number_of_their_threads(world, connect):
    hello, _ = connect(name="octo/hello")
    for number in range(3):
        post_activity(hello, f"{number}", thread=state("One", "closed" if number else "open"))

    text = " ".join(see(browser(world.ines).get(address(world.main))).text.split())

    assert "All sources3 octo/hello3" in text
    assert "Status closed2 open1" in text


@pytest.mark.parametrize("words", ["tide LOW", "lea", "octo/hel", "opened pull"])
def test_search_finds_threads_with_all_words(world, connect, words):
    source, _ = connect()
    wanted = post_activity(source, thread=state("Warn before low tide"))
    other, _ = connect(name="elsewhere")
    author = {"name": "Otto"}
    post_activity(other, "x", title="closed issue", author=author, thread=state("Something else"))

    assert listed(browser(world.ines).get(address(world.main), {"q": words})) == [wanted.thread_id]


def test_a_search_without_results_links_back_to_all_threads(world, connect):
    source, _ = connect()
    post_activity(source)

    response = browser(world.ines).get(address(world.main), {"q": "no such word"})

    assert listed(response) == []
    assert "No matching threads" in see(response).text
    assert see(response).value("q") == "no such word"


def test_paging_shows_every_thread_once_even_if_one_gets_new_activity(world, connect):
    source, _ = connect()
    many_threads(source, 2 * PAGE + 20)
    person = browser(world.ines)
    first = person.get(address(world.main))
    moved = Thread.objects.get(external_thread_id="issue:119")
    Thread.objects.filter(pk=moved.pk).update(updated_at=timezone.now() + timedelta(seconds=1))

    pages = [listed(first)]
    link = more(first)
    while link:
        response = person.get(link)
        pages.append(listed(response))
        link = more(response)

    assert [len(page) for page in pages] == [PAGE, PAGE, 19]
    shown = [key for page in pages for key in page]
    assert len(set(shown)) == len(shown)
    assert moved.pk not in shown  # it stands at the top now, where a look at the first page shows it
    assert listed(person.get(address(world.main)))[0] == moved.pk


def more(response) -> str | None:
    links = [given["href"] for given in see(response).all("a") if given.get("id") == "more"]
    return links[0] if links else None


def test_paging_separates_threads_of_the_same_moment(world, connect):
    source, _ = connect()
    many_threads(source, PAGE + 10)
    Thread.objects.update(updated_at=timezone.now())
    person = browser(world.ines)

    first = person.get(address(world.main))
    rest = person.get(more(first))

    assert len({*listed(first), *listed(rest)}) == PAGE + 10


def test_a_long_list_takes_no_more_queries_than_a_short_one(world, connect, django_assert_num_queries):
    source, _ = connect()
    many_threads(source, 100)
    person = browser(world.ines)
    person.get(address(world.main))

    # session, person, flow, flows, conversations, sources, statuses, unread, total, threads
    with django_assert_num_queries(8):
        person.get(address(world.main))
    with django_assert_num_queries(8):
        person.get(address(world.main, "/list"))


def test_the_fetched_list_is_the_list_of_the_page(world, connect):
    source, _ = connect()
    post_activity(source, "1")
    post_activity(source, "2", thread=state("Two", "closed", "black"))
    person = browser(world.ines)

    alone = person.get(address(world.main, "/list?status=closed"))

    assert listed(alone) == listed(person.get(address(world.main, "?status=closed")))
    assert "<html" not in alone.content.decode()


# One thread


def test_a_thread_shows_its_state(world, connect):
    source, _ = connect()
    thread = thread_of(post_activity(source))

    response = browser(world.ines).get(thread.get_absolute_url())

    seen = see(response)
    assert "Warn before low tide · Main · Acme" in seen.text
    assert "<p>It was <strong>late</strong>.</p>" in response.content.decode()
    links = seen.links()
    for wanted in ("https://git.test/octo/hello/pull/42", "https://git.test/b", "https://git.test/d"):
        assert wanted in links
    assert listed(response) == [thread.pk]


def test_a_timeline_shows_activities_discussions_and_comments_in_order(world, connect):
    source, _ = connect()
    first = post_activity(source)
    thread = thread_of(first)
    second = post_activity(source, event="discussion", title="commented", body="<p>Why so <em>late</em>?</p>")
    third = post(Draft(event="message", content="Ask <Lea>"), flow=world.main, user=world.ines, thread=thread)

    response = browser(world.ines).get(thread.get_absolute_url())

    assert said(response) == [first.number, second.number, third.number]
    html = response.content.decode()
    assert "<p>Why so <em>late</em>?</p>" in html
    assert "<p>Ask &lt;Lea&gt;</p>" in html
    assert len(see(response).all("article", "bubble-flow")) == 1
    exact = f'title="{first.created_at.day} {first.created_at:%B %Y, %H:%M:%S} UTC"'
    assert exact in html


def test_an_avatar_has_the_same_color_everywhere(world, connect):
    source, _ = connect()
    message = post_activity(source)
    post_activity(source, title="closed pull request")

    seen = see(browser(world.ines).get(thread_of(message).get_absolute_url()))

    colours = {given["class"] for given in seen.all("span", "avatar")}
    assert len(colours) == 2  # Lea, twice, and Ines


def test_a_long_timeline_shows_the_newest_messages_and_links_to_earlier_ones(world, connect, django_assert_num_queries):
    source, _ = connect()
    thread = thread_of(post_activity(source))
    many_messages(thread, 1000)
    person = browser(world.ines)
    person.get(thread.get_absolute_url())

    # those of the list, and thread, messages, their files, who is in the flow
    with django_assert_num_queries(12):
        response = person.get(thread.get_absolute_url())
    with django_assert_num_queries(7):
        person.get(f"{thread.get_absolute_url()}/pane")

    last = Message.objects.latest("number").number
    assert said(response) == list(range(last - TIMELINE + 1, last + 1))
    shown = []
    while True:
        shown = said(response) + shown
        earlier = [given["href"] for given in see(response).all("a") if given.get("id") == "earlier"]
        if not earlier:
            break
        response = person.get(earlier[0])
    assert shown == list(range(1, last + 1))


def test_the_fetched_thread_is_the_thread_of_the_page_and_keeps_the_filters(world, connect):
    source, _ = connect()
    thread = thread_of(post_activity(source))
    person = browser(world.ines)

    pane = person.get(f"{thread.get_absolute_url()}/pane?status=open")

    assert said(pane) == said(person.get(thread.get_absolute_url()))
    assert "/app/acme/main?status=open" in see(pane).links()  # the way back to the list
    assert "<html" not in pane.content.decode()


# Comments


def test_a_comment_is_posted_to_the_thread_under_the_authors_name(world, connect):
    source, _ = connect()
    thread = thread_of(post_activity(source))
    person = browser(world.ines)

    answer = comment(person, thread.get_absolute_url(), "Same question from support.\n\nFour times this week.")

    message = Message.objects.latest("number")
    assert answer["Location"] == f"{thread.get_absolute_url()}#message-{message.number}"
    assert (message.event, message.user, message.thread, message.source) == ("message", world.ines, thread, None)
    thread.refresh_from_db()
    assert thread.internal_comments == 1
    text = see(person.get(address(world.main))).text
    assert "Ines Rao: Same question from support." in text


def test_pressing_comment_twice_posts_once(world, connect):
    source, _ = connect()
    path = thread_of(post_activity(source)).get_absolute_url()
    person = browser(world.ines)

    first = comment(person, path, "Once", "a-form")
    second = comment(person, path, "Once", "a-form")

    assert first["Location"] == second["Location"]
    assert Message.objects.filter(content="Once").count() == 1


def test_a_changed_text_from_the_same_form_is_another_comment(world, connect):
    source, _ = connect()
    path = thread_of(post_activity(source)).get_absolute_url()
    person = browser(world.ines)

    comment(person, path, "First", "a-form")
    comment(person, path, "Second", "a-form")

    assert [message.content for message in Message.objects.filter(event="message")] == ["First", "Second"]


def test_the_same_text_can_be_posted_again(world, connect):
    source, _ = connect()
    path = thread_of(post_activity(source)).get_absolute_url()
    person = browser(world.ines)

    comment(person, path, "Yes")
    comment(person, path, "Yes")

    assert Message.objects.filter(content="Yes").count() == 2


@pytest.mark.parametrize("content", ["", "   \r\n  ", "\x00"])
def test_an_empty_comment_is_not_posted(world, connect, content):
    source, _ = connect()
    path = thread_of(post_activity(source)).get_absolute_url()

    assert comment(browser(world.ines), path, content)["Location"] == f"{path}#composer"

    assert not Message.objects.filter(event="message").exists()


def test_a_comment_that_is_too_long_stays_in_the_form(world, connect):
    source, _ = connect()
    path = thread_of(post_activity(source)).get_absolute_url()

    answer = comment(browser(world.ines), path, "a" * 8100)

    assert answer.status_code == 400
    assert "4 characters too long" in answer.content.decode()
    assert "a" * 8100 in answer.content.decode()
    assert not Message.objects.filter(event="message").exists()


# What strangers send

BAD = '<script>alert(1)</script><img src=x onerror=alert(1)><a href="javascript:alert(1)" onclick="alert(1)">x</a>'
ESCAPES = "</textarea></title></script>\"'><script>alert(1)</script>"


HOSTILE_ACTIONS = [
    {"@type": "ViewAction", "name": BAD, "url": "javascript:alert(1)"},
    {"@type": "ViewAction", "name": BAD, "url": 'https://evil.test/"onclick="alert(1)'},
    {"@type": "ViewAction", "name": {"not": "a text"}, "url": ["nor", "an address"]},
]


def hostile_thread(world, connect) -> Thread:
    source, _ = connect(name=BAD + ESCAPES)
    message = post_activity(
        source,
        title=BAD,
        author={"name": BAD + ESCAPES, "avatar": "https://evil.test/who-reads.png"},
        body=f'{BAD}<style>*{{display:none}}</style><form action="https://evil.test"><input name="password"></form>'
        '<iframe src="https://evil.test"></iframe><p style="position:fixed" class="dialog" id="thread">x</p>'
        '<img src="https://evil.test/who-reads.png" alt="a chart">',
        thread={
            "title": BAD + ESCAPES,
            "body": BAD,
            "status": {"value": BAD + ESCAPES, "color": "red"},
            "fields": [{"label": BAD + ESCAPES, "value": BAD}],
        },
    )
    thread = thread_of(message)
    post(Draft(event="message", content=BAD + ESCAPES), flow=world.main, user=world.ines, thread=thread)
    # As an older version of the API may have let it in.
    Thread.objects.filter(pk=thread.pk).update(external_url="javascript:alert(1)", actions=HOSTILE_ACTIONS)
    return thread


def assert_harmless(seen: Seen) -> None:
    for tag, given in seen.elements:
        assert not [name for name in given if name.startswith("on") or name == "style"], (tag, given)
        assert tag not in ("iframe", "style", "object", "embed")
        if tag == "script":
            assert (given.get("src") or "").startswith("/static/")
        if tag == "form":
            assert (given.get("action") or "/").startswith("/")
        for name in ("href", "src"):
            value = given.get(name)
            assert value is None or value.startswith(("/", "#", "https://", "http://")), (tag, value)
        if (given.get("href") or "").startswith("http"):
            assert given.get("rel") == "noopener noreferrer nofollow", given
        assert not (given.get("src") or "").startswith("http")
    ids = [given["id"] for _, given in seen.elements if given.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "/list",
        "?q=%3Cscript%3Ealert(1)%3C/script%3E&status=%22onclick=%22",
        "/settings",
        "/threads/{thread}",
        "/threads/{thread}/pane",
    ],
)
def test_hostile_text_is_harmless_on_every_page(world, connect, rest):
    thread = hostile_thread(world, connect)

    response = browser(world.ines).get(address(world.main, rest.format(thread=thread.pk)))

    assert response.status_code == 200
    assert_harmless(see(response))


def test_remote_pictures_are_shown_only_where_allowed(world, connect, settings):
    thread = hostile_thread(world, connect)
    person = browser(world.ines)
    seen = see(person.get(thread.get_absolute_url()))
    assert {given.get("src") for given in seen.all("img")} == {"/static/logo.svg"}
    assert seen.links().count("https://evil.test/who-reads.png") == 1  # who wants to see it may

    settings.REMOTE_IMAGES = True

    pictures = [given.get("src") for given in see(person.get(thread.get_absolute_url())).all("img")]
    assert pictures.count("https://evil.test/who-reads.png") == 2  # the author's, and the one in the body


def test_only_urls_in_a_comment_become_links(world, connect):
    source, _ = connect()
    thread = thread_of(post_activity(source))
    words = 'See (https://docs.test/a?b=1&c="2"), javascript:alert(1) and <https://x.test/>.'
    post(Draft(event="message", content=words), flow=world.main, user=world.ines, thread=thread)

    seen = see(browser(world.ines).get(thread.get_absolute_url()))

    typed = [given["href"] for given in seen.all("a") if ".test/a" in given["href"] or "x.test" in given["href"]]
    assert typed == ["https://docs.test/a?b=1&c=", "https://x.test/"]
    assert words in seen.text


# Deleting


def test_every_member_can_delete_an_activity_after_a_confirmation(world, connect):
    source, _ = connect(flow=world.lobby)
    first, last = post_activity(source, title="opened issue"), post_activity(source, title="closed issue")
    person = browser(world.otto)
    path = address(world.lobby, f"/messages/{last.number}/delete")
    assert path in see(person.get(address(world.lobby, f"/threads/{last.thread_id}"))).links()

    question = person.get(path)

    assert "closed issue" in see(question).text
    assert "The rest of the thread stays." in see(question).text
    assert said(person.get(address(world.lobby, f"/threads/{last.thread_id}"))) == [first.number, last.number]
    assert person.post(path)["Location"] == address(world.lobby, f"/threads/{last.thread_id}")
    assert said(person.get(address(world.lobby, f"/threads/{last.thread_id}"))) == [first.number]


def test_a_thread_without_messages_disappears_from_the_inbox(world, connect):
    source, _ = connect()
    message = post_activity(source)
    person = browser(world.ines)
    path = address(world.main, f"/messages/{message.number}/delete")
    assert "the thread disappears from the inbox too" in see(person.get(path)).text

    assert person.post(path)["Location"] == address(world.main)

    assert listed(person.get(address(world.main) + "?show=all")) == []
    assert person.post(path).status_code == 302  # a second press
    assert person.get(path).status_code == 404


def test_only_members_can_delete_and_never_messages_of_other_people(world, connect):
    source, _ = connect()
    message = post_activity(source)
    spoken = post(Draft(event="message", content="My own"), flow=world.lobby, user=world.ines)
    path = address(world.main, f"/messages/{message.number}/delete")

    for stranger in (world.otto, world.sam):
        assert browser(stranger).get(path).status_code == 404
        assert browser(stranger).post(path).status_code == 404
    assert browser(world.ines, enforce_csrf_checks=True).post(path).status_code == 403
    assert browser(world.otto).get(address(world.lobby, f"/messages/{spoken.number}/delete")).status_code == 404
    browser(world.otto).post(address(world.lobby, f"/messages/{spoken.number}/delete"))

    assert Message.objects.filter(pk=message.pk).exists()
    assert Message.objects.get(pk=spoken.pk).content == "My own"


def test_messages_of_an_archived_flow_cannot_be_deleted(world, connect):
    source, _ = connect()
    message = post_activity(source)
    world.main.disabled = True
    world.main.save()
    person = browser(world.ines)
    thread = address(world.main, f"/threads/{message.thread_id}")
    assert not [link for link in see(person.get(thread)).links() if link.endswith("/delete")]

    answer = person.post(address(world.main, f"/messages/{message.number}/delete"), follow=True)

    assert "This flow is archived" in see(answer).text
    assert Message.objects.filter(pk=message.pk).exists()


def test_the_thread_of_a_message_without_replies_redirects_to_the_chat(world):
    number = post(Draft(event="message", content="Low tide?"), flow=world.main, user=world.otto).number
    thread = address(world.main, f"/threads/{thread_id(world.main.pk, number)}")
    ines = browser(world.ines)

    assert ines.get(thread)["Location"] == address(world.main, f"/chat/{number}")
    assert ines.get(f"{thread}/pane").status_code == 404
    assert ines.post(f"{thread}/comments", {"content": "x" * 9000}).status_code == 404
