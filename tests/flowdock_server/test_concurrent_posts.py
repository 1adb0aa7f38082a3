"""Concurrent posts: numbers, threads and repeated messages are as if they were posted one after the other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.http import Http404

from flowdock_server.models import Flow, Message, Thread
from flowdock_server.people import private
from flowdock_server.posting import messages
from flowdock_server.posting.drafts import Draft
from flowdock_server.posting.files import Upload
from flowdock_server.posting.messages import post

from .conftest import activity

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(calls):
    """Run each of `calls` in a separate thread with its own connection. Returns their results in order."""

    def closing(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        return [future.result() for future in [pool.submit(closing, call) for call in calls]]


def test_message_numbers_are_consecutive_and_unique(world, connect):
    sources = [connect(name=f"repository {number}")[0] for number in range(4)]

    def call(number):
        draft = Draft.model_validate(activity(external_thread_id=f"pr:{number % 3}", uuid=f"u-{number}"))
        return lambda: post(draft, flow=world.main, source=sources[number % 4]).number

    numbers = at_once([call(number) for number in range(60)])

    assert sorted(numbers) == list(range(1, 61))
    assert Flow.objects.get(pk=world.main.pk).last_number == 60
    assert Thread.objects.count() == 12
    assert sum(Thread.objects.values_list("activities", flat=True)) == 60


def test_message_sent_many_times_at_once_is_stored_once(world, connect):
    source, _ = connect()
    draft = Draft.model_validate(activity(uuid="u-1"))

    numbers = at_once([lambda: post(draft, flow=world.main, source=source).number] * 16)

    assert set(numbers) == {1}
    assert Message.objects.count() == 1
    assert Thread.objects.get().activities == 1


def test_concurrent_comments_in_a_thread_are_all_counted(world, connect):
    source, _ = connect()
    thread = post(Draft.model_validate(activity()), flow=world.main, source=source).thread
    comment = Draft(event="message", content="Hi")

    at_once([lambda: post(comment, flow=world.main, user=world.ines, thread=thread)] * 20)

    thread.refresh_from_db()
    assert (thread.activities, thread.internal_comments) == (1, 20)


@pytest.mark.parametrize("place", ["in a flow", "in private"])
def test_file_can_be_deleted_many_times_at_once(world, place):
    content = {"data": "SGVsbG8=", "content_type": "text/plain", "file_name": "tide.txt"}
    if place == "in private":
        sent = private.post(upload=Upload.read(content, "content"), by=world.ines, to=world.otto)
        delete, edit = private.delete, private.edit
    else:
        sent = post(Draft(event="file", content=content), flow=world.main, user=world.ines)
        delete, edit = messages.delete, messages.edit

    assert at_once([lambda: delete(sent, world.ines)] * 8) == [True] * 8

    with pytest.raises(Http404):
        edit(sent, world.ines, tags=["late"])


def test_refused_draft_uses_no_number(world, connect, client):
    source, token = connect()
    refused = client.post("/messages", activity(flow_token=token, thread=None), content_type="application/json")

    number = post(Draft.model_validate(activity()), flow=world.main, source=source).number

    assert (refused.status_code, number) == (400, 1)
