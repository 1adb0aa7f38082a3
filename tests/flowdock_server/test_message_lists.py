"""Lists of messages and threads: their parameters, pages and numbers of queries."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from flowdock_server.models import Message, Thread
from flowdock_server.posting.drafts import Draft
from flowdock_server.posting.messages import post as store

from .conftest import activity, post

MESSAGES = "/flows/acme/main/messages"
THREADS = "/flows/acme/main/threads"


@pytest.fixture
def pull_requests(world, connect):
    """Twelve pull requests, each with an activity and a comment: messages 1 to 24."""
    source, _ = connect()
    for number in range(12):
        title = f"Pull request {number}"
        for event, text in (("activity", "opened"), ("discussion", "commented")):
            draft = activity(
                event=event,
                title=text,
                external_thread_id=f"pr:{number}",
                thread={"title": title, "status": {"value": "open", "color": "green"}},
                tags=["Even" if number % 2 == 0 else "odd", f"pr-{number}"],
                body=f"<p>body of {number}</p>",
            )
            store(Draft.model_validate(draft), flow=world.main, source=source)
    return source


def ids(response) -> list[int]:
    assert response.status_code == 200, response.content
    return [message["id"] for message in response.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", list(range(1, 25))),
        ("?limit=3", [22, 23, 24]),
        ("?limit=3&sort=asc", [1, 2, 3]),
        ("?since_id=20", [21, 22, 23, 24]),
        ("?until_id=4", [1, 2, 3]),
        ("?since_id=4&until_id=7", [5, 6]),
        ("?since_id=4&limit=2&sort=asc", [5, 6]),
        ("?until_id=20&limit=2", [18, 19]),
        ("?event=discussion&limit=2", [22, 24]),
        ("?event=activity,discussion&limit=2", [23, 24]),
        ("?event=message", []),
        ("?tags=even&limit=4", [17, 18, 21, 22]),
        ("?tags=EVEN,pr-0", [1, 2]),
        ("?tags=pr-0,pr-1&tag_mode=or", [1, 2, 3, 4]),
        ("?tags=even,odd", []),
        ("?search=BODY of 11", [23, 24]),
        ("?search=commented&limit=2", [22, 24]),
        ("?search=commented&limit=2&skip=2", [18, 20]),
        ("?search=commented&until_id=3&limit=1", [24]),
        ("?search=nothing", []),
    ],
)
def test_messages_are_filtered_by_parameters_and_ordered_by_id(ines, pull_requests, query, expected):
    assert ids(ines.get(MESSAGES + query)) == expected


def test_filters_are_also_read_from_the_body(ines, pull_requests):
    def get(body):
        return ines.generic("GET", f"{MESSAGES}?limit=2", body, content_type="application/json")

    assert ids(get('{"limit": 5, "sort": "asc", "event": "discussion"}')) == [2, 4]
    assert ids(get("{}")) == [23, 24]
    assert get("not JSON").status_code == 400
    assert get('{"sort": "up"}').status_code == 400


@pytest.mark.parametrize("query", ["event[]=discussion&event[]=file", "event[0]=discussion&event%5B1%5D=file"])
def test_list_in_the_query_is_the_same_as_commas(ines, pull_requests, query):
    assert ids(ines.get(f"{MESSAGES}?limit=2&sort=asc&{query}")) == [2, 4]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=many", "sort=up", "since_id=-1", "since_id=99999999999999999999", "skip=-1"],
)
def test_out_of_range_parameter_is_named(ines, pull_requests, query):
    for path in (MESSAGES, f"{MESSAGES}.json"):
        response = ines.get(f"{path}?{query}")
        assert response.status_code == 400
        assert list(response.json()["errors"]) == [query.partition("=")[0]]


def test_single_message_is_the_same_as_in_the_list(ines, pull_requests):
    (last,) = ines.get(f"{MESSAGES}?limit=1").json()

    assert ines.get(f"{MESSAGES}/24").json() == last
    for number in ("25", "0", "-1", "99999999999999999999"):
        assert ines.get(f"{MESSAGES}/{number}").status_code == 404


def test_thread_lists_its_own_messages(ines, pull_requests):
    thread_id = ines.get(f"{MESSAGES}/5").json()["thread_id"]

    assert ids(ines.get(f"{THREADS}/{thread_id}/messages")) == [5, 6]
    assert ids(ines.get(f"{THREADS}/{thread_id}/messages?limit=1")) == [6]


def test_threads_are_listed_by_last_update(ines, client, pull_requests):
    titles = [thread["title"] for thread in ines.get(THREADS).json()]
    assert titles == [f"Pull request {number}" for number in reversed(range(12))]
    first = ines.get(f"{MESSAGES}/1").json()["thread_id"]

    post(ines, f"{THREADS}/{first}/messages", {"event": "message", "content": "Still open"})

    assert ines.get(THREADS).json()[0]["id"] == first


def test_pages_of_threads_list_each_thread_once(ines, pull_requests):
    seen, path = [], f"{THREADS}?limit=5&application=inbox"
    while path:
        response = ines.get(path)
        seen += [thread["id"] for thread in response.json()]
        link = response.get("Link", "")
        path = link.removeprefix("<").removesuffix('>; rel="next"')

    assert len(seen) == len(set(seen)) == 12


def test_threads_are_filtered_by_time_and_application(ines, pull_requests, world):
    threads = ines.get(THREADS).json()
    middle = threads[6]["updated_at"]

    def titles(**query):
        return [thread["title"] for thread in ines.get(THREADS, query).json()]

    newer = [thread["title"] for thread in threads if thread["updated_at"] > middle]
    older = [thread["title"] for thread in threads if thread["updated_at"] < middle]
    assert titles(since=middle) == newer
    assert titles(until=middle) == older
    assert len(titles(application="build-lights")) == len(titles(application="inbox")) == 12
    assert len(titles(application=str(world.application.pk))) == 12
    assert titles(application="another") == titles(application="chat") == titles(application="9" * 30) == []
    assert titles(since=middle.removesuffix("Z")) == newer, "a time without a zone is UTC"
    assert [each["title"] for each in ines.get(f"{THREADS}?since={middle[:-1]}+00:00").json()] == newer
    assert len(titles(since="2014-10-01", until="")) == 12
    assert ines.get(THREADS, {"since": "yesterday"}).json()["errors"].keys() == {"since"}


def test_empty_thread_is_listed_on_request(ines, pull_requests):
    pull_requests.threads.filter(external_thread_id="pr:3").update(empty=True)

    assert len(ines.get(THREADS).json()) == 11
    assert len(ines.get(THREADS, {"empty": "1"}).json()) == 12


def test_single_thread_is_the_same_as_in_the_list(ines, pull_requests):
    thread = ines.get(THREADS).json()[0]

    assert ines.get(f"{THREADS}/{thread['id']}").json() == thread
    for thread_id in ("x", "x" * 27, "%00", "%F0%9F%8C%8A"):
        assert ines.get(f"{THREADS}/{thread_id}").status_code == 404


def test_list_takes_as_many_queries_for_any_length(ines, pull_requests, django_assert_num_queries):
    thread_id = ines.get(f"{MESSAGES}/1").json()["thread_id"]
    # Queries: the personal token, the flow, and the list; also a thread for its messages, or chat threads for threads.
    for path, queries in ((MESSAGES, 3), (THREADS, 4), (f"{THREADS}/{thread_id}/messages", 4)):
        for limit in (2, 24):
            with django_assert_num_queries(queries):
                ines.get(path, {"limit": limit})


def test_chat_thread_is_not_in_the_inbox(world, ines, pull_requests):
    talk = {"event": "message", "content": "Hi", "external_thread_id": "talk", "thread": {"title": "Talk"}}
    thread_id = post(ines, MESSAGES, talk).json()["thread_id"]

    assert [thread["id"] for thread in ines.get(THREADS, {"application": "chat"}).json()] == [thread_id]
    assert len(ines.get(THREADS, {"application": "inbox"}).json()) == 12


@pytest.fixture
def large(world, connect):
    """10,000 threads, and one more with 1,000 activities: numbers 1 to 1,000."""
    source, _ = connect()
    now = timezone.now()
    threads = [
        Thread(flow=world.main, source=source, external_thread_id=str(n), title=f"T{n}", updated_at=now - timedelta(n))
        for n in range(10_001)
    ]
    Thread.objects.bulk_create(threads, batch_size=1000)
    Message.objects.bulk_create(
        [
            Message(flow=world.main, source=source, thread=threads[0], number=n, event="activity", title=f"A{n}")
            for n in range(1, 1001)
        ],
        batch_size=500,
    )
    return threads


def test_large_threads_and_flows_take_as_many_queries_as_small_ones(ines, large, django_assert_num_queries):
    with django_assert_num_queries(4):
        response = ines.get(f"{THREADS}?limit=100")
    assert [thread["title"] for thread in response.json()] == [f"T{n}" for n in range(100)]
    with django_assert_num_queries(4):
        page = ines.get(response["Link"].removeprefix("<").removesuffix('>; rel="next"')).json()
    assert [thread["title"] for thread in page] == [f"T{n}" for n in range(100, 200)]
    with django_assert_num_queries(4):
        messages = ines.get(f"{THREADS}/{large[0].pk}/messages?limit=100&until_id=500").json()
    assert [message["id"] for message in messages] == list(range(400, 500))
    with django_assert_num_queries(3):
        assert ines.get(f"{THREADS}/{large[0].pk}").json()["title"] == "T0"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL scans what fits on a page")
def test_lists_are_read_from_an_index_without_sorting(world, large):
    page = large[50]
    lists = [
        world.main.threads.not_empty().newest_first(),
        world.main.threads.filter(updated_at__lte=page.updated_at).before(page.updated_at, page.pk).newest_first(),
        Message.objects.filter(thread=large[0], number__lt=500).order_by("-number"),
        world.main.messages.filter(number__gt=5).order_by("number"),
    ]

    for found in lists:
        assert "USING INDEX" in found.explain()
        assert "TEMP B-TREE" not in found.explain()
