"""Work of several threads that is done together: nothing is lost, reordered or shared that should not be."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from flowdock_server.models import Flow, Message, Source, Tag, Thread
from flowdock_server.models.compiled import Lookup, insert, update
from flowdock_server.posting import messages, search
from flowdock_server.posting.batches import Batches
from flowdock_server.posting.drafts import Draft, Refused, Rejected
from flowdock_server.posting.messages import post

from .conftest import activity


class Recorder:
    """Runs jobs for Batches: records each batch, and holds the first one until `release`."""

    def __init__(self, fails=lambda jobs: False):
        self.batches = []
        self.fails = fails
        self.has_begun, self.release = threading.Event(), threading.Event()

    def __call__(self, jobs):
        self.batches.append(jobs)
        self.has_begun.set()
        assert self.release.wait(10)
        if self.fails(jobs):
            raise ValueError(jobs)


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen within 10 seconds")


def added(recorder, jobs, most=50):
    """Add `jobs` in this order, each in a thread of its own, while the first one runs. Returns their futures."""
    batches = Batches(recorder, most)
    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = []
        for number, job in enumerate(jobs):
            futures.append(pool.submit(batches.add, "key", job))
            wait_until(recorder.has_begun.is_set if number == 0 else lambda n=number: len(batches._queues["key"]) == n)
        recorder.release.set()
    assert batches._queues == {}
    return futures


def test_jobs_that_wait_run_together_in_their_order():
    recorder = Recorder()

    added(recorder, [1, 2, 3, 4])

    assert recorder.batches == [[1], [2, 3, 4]]


def test_batch_has_a_limit():
    recorder = Recorder()

    added(recorder, [1, 2, 3, 4, 5, 6], most=2)

    assert recorder.batches == [[1], [2, 3], [4, 5], [6]]


def test_job_that_fails_makes_no_other_job_fail():
    recorder = Recorder(fails=lambda jobs: 3 in jobs)

    futures = added(recorder, [1, 2, 3, 4])

    assert recorder.batches[:2] == [[1], [2, 3, 4]]
    assert sorted(recorder.batches[2:]) == [[2], [3], [4]]
    assert [type(future.exception()) for future in futures] == [type(None), type(None), ValueError, type(None)]


def test_first_job_that_fails_lets_the_next_begin():
    recorder = Recorder(fails=lambda jobs: jobs == [1])

    futures = added(recorder, [1, 2])

    assert recorder.batches == [[1], [2]]
    assert [type(future.exception()) for future in futures] == [ValueError, type(None)]


def test_jobs_of_another_key_do_not_wait():
    recorder = Recorder()
    batches = Batches(recorder, 50)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(batches.add, "slow", 1)
        wait_until(recorder.has_begun.is_set)
        pool.submit(batches.add, "other", 2)
        wait_until(lambda: len(recorder.batches) == 2)
        recorder.release.set()

    assert recorder.batches == [[1], [2]]


@pytest.fixture
def together():
    """Store these posts in one batch, as if all had waited for another one. Returns messages and errors."""

    def store(*posts):
        jobs = [messages._Post(Draft.model_validate(draft), **named) for draft, named in posts]
        messages._store_posts(jobs)
        return [job.message or job.error for job in jobs]

    return store


@pytest.mark.django_db
class TestBatch:
    def test_answers_are_those_of_posts_one_after_the_other(self, world, connect, together):
        source, _ = connect()
        named = {"flow": world.main, "source": source}

        first, second, third = together(
            (activity(title="opened", thread={"title": "A"}), named),
            (activity(title="closed", thread={"title": "B"}), named),
            (activity(external_thread_id="other", uuid="u-1"), named),
        )

        assert [each.number for each in (first, second, third)] == [1, 2, 3]
        assert [(each.thread.title, each.thread.activities) for each in (first, second)] == [("A", 1), ("B", 2)]
        assert first.thread.pk == second.thread.pk != third.thread.pk
        stored = Thread.objects.get(pk=first.thread.pk)
        assert (stored.title, stored.activities, stored.last_number) == ("B", 2, 2)
        assert list(Message.objects.values_list("number", "thread")) == [
            (1, first.thread.pk),
            (2, first.thread.pk),
            (3, third.thread.pk),
        ]
        assert Flow.objects.get(pk=world.main.pk).last_number == 3

    def test_same_uuid_twice_is_stored_once(self, world, connect, together):
        (source, _), (other, _) = connect(), connect(name="other")

        first, again, of_another = together(
            (activity(uuid="u-1"), {"flow": world.main, "source": source}),
            (activity(uuid="u-1"), {"flow": world.main, "source": source}),
            (activity(uuid="u-1"), {"flow": world.main, "source": other}),
        )
        (later,) = together((activity(uuid="u-1"), {"flow": world.main, "source": source}))

        assert (first.pk, of_another.number) == (again.pk, 2)
        assert (later.pk, later.number) == (first.pk, 1)
        assert Message.objects.count() == 2

    def test_rejected_post_uses_no_number_and_stops_no_other(self, world, connect, together):
        source, _ = connect()
        named = {"flow": world.main, "source": source}

        first, rejected, third = together(
            (activity(), named),
            ({"event": "message", "content": "Hi", "thread_id": "unknown"}, named),
            (activity(), named),
        )

        assert isinstance(rejected, Rejected)
        assert (first.number, third.number) == (1, 2)

    def test_archived_flow_refuses_its_posts_only(self, world, connect, together):
        Flow.objects.filter(pk=world.lobby.pk).update(disabled=True)

        one, refused = together(
            (activity(), {"flow": world.main, "source": connect(world.main)[0]}),
            (activity(), {"flow": world.lobby, "source": connect(world.lobby)[0]}),
        )

        assert (one.number, type(refused)) == (1, Refused)

    def test_words_and_tags_of_each_message_are_found(self, world, connect, together):
        source, _ = connect()
        chat = {"event": "message", "external_user_name": "Lea"}

        one, two = together(
            ({**chat, "content": "The #tide is low"}, {"flow": world.main, "source": source}),
            ({**chat, "content": "The build is @ines green #ci"}, {"flow": world.main, "source": source}),
        )

        for word, message in (("tide", one), ("green", two)):
            assert list(search.matching(Message.objects.all(), world.main.pk, word)) == [message]
        assert list(Tag.objects.filter(message=one).values_list("name", flat=True)) == ["tide"]
        assert Tag.objects.filter(message=two, name="ci").exists()


@pytest.mark.django_db(transaction=True)
def test_failing_post_makes_no_waiting_post_fail(world, connect, monkeypatch):
    source, _ = connect()
    store = messages._store

    def failing(found, *arguments):
        store(found, *arguments)
        if any(message.title == "bad" for message in found):
            raise RuntimeError("a row that the database refuses")

    monkeypatch.setattr(messages, "_store", failing)

    def call(number):
        try:
            title = "bad" if number % 7 == 3 else f"good {number}"
            return post(Draft.model_validate(activity(title=title)), flow=world.main, source=source).number
        except RuntimeError:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(call, range(40)))

    assert [number for number, posted in enumerate(numbers) if posted is None] == [3, 10, 17, 24, 31, 38]
    assert sorted(filter(None, numbers)) == list(range(1, 35))
    assert Message.objects.count() == 34
    assert Thread.objects.get().activities == 34


@pytest.mark.django_db
def test_lookup_finds_what_its_queryset_finds(world, connect, django_assert_num_queries):
    sources = [connect(world.main, name="one")[0], connect(world.lobby, name="two")[0]]
    lookup = Lookup(lambda ids: Source.objects.select_related("flow__organization", "creator").filter(pk__in=ids))

    for ids in ([sources[0].pk], [each.pk for each in sources], [0, 0]):
        for _ in range(2):
            found = lookup(ids)
            assert [vars(each) | {"_state": None} for each in found] == [
                vars(each) | {"_state": None} for each in Source.objects.filter(pk__in=ids)
            ]
    with django_assert_num_queries(1):
        assert [each.flow.organization.name for each in lookup([sources[0].pk])] == ["Acme"]


def test_lookup_refuses_a_value_that_is_no_parameter():
    with pytest.raises(ValueError, match="does not become a parameter"):
        Lookup(lambda number: Flow.objects.filter(disabled=number < 0))(5)


@pytest.mark.django_db
def test_many_rows_are_inserted_and_updated(world):
    made = [Message(flow=world.main, number=number, event="message", content=str(number)) for number in range(1, 200)]

    with transaction.atomic():
        insert(made)
        for message in made:
            message.title = f"title {message.number}"
        update(made, "title", "data")

    stored = Message.objects.in_bulk([message.pk for message in made])
    assert all(stored[each.pk].number == each.number for each in made)
    assert all(stored[each.pk].title == f"title {each.number}" for each in made)
    assert all(each.data is None for each in stored.values())
