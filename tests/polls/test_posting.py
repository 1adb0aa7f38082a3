"""What is posted to flows: after the vote, to all followers, without slowing the voter."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction

from integrations.deciding import decide_waiting
from integrations.models import Delivery, Event
from integrations.services import SERVICES
from polls.connecting import OWN_APP
from polls.models import Poll, Vote

from .conftest import ask, browser_of, counts, remove_vote, text_of, vote

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def everything(follow):
    """A flow that follows all polls."""
    return follow("All polls")


def deliver() -> None:
    call_command("deliver_activities")


def test_a_new_poll_is_posted_as_a_thread_with_its_full_state(lea_browser, flow, everything):
    poll = ask(lea_browser, "Pizza & sushi?", description="On <Friday>.\nAt noon.", new_category="Lunch & dinner")
    deliver()

    (post,) = flow.posts
    url = f"http://bridge.test/polls/{poll.pk}/"
    assert post["author"] == {"name": "Lea Cohen", "email": "lea@acme.test"}
    assert (post["event"], post["title"], post["thread_id"]) == ("activity", "created the poll", f"poll:{poll.pk}")
    assert post["thread"] == {
        "title": "Pizza &amp; sushi?",
        "body": "On &lt;Friday&gt;.<br>At noon.",
        "external_url": url,
        "status": {"value": "open", "color": "green"},
        "fields": [
            {"label": "Pizza", "value": "no votes"},
            {"label": "Sushi", "value": "no votes"},
            {
                "label": "Category",
                "value": f'<a href="http://bridge.test{poll.category.get_absolute_url()}">Lunch &amp; dinner</a>',
            },
            {"label": "Votes", "value": "0"},
        ],
        "actions": [{"@type": "ViewAction", "name": "Vote", "url": url}],
    }


def test_votes_are_posted_with_the_new_counts(lea_browser, ola_browser, flow, everything, poll):
    for do, client, label in (
        (vote, lea_browser, "Pizza"),
        (vote, ola_browser, "Pizza"),
        (vote, ola_browser, "Sushi"),
        (remove_vote, lea_browser, "Pizza"),
    ):
        do(client, poll, label)
        deliver()

    assert flow.titles[1:] == [
        "Lea Cohen voted for Pizza",
        "Ola Berg voted for Pizza",
        "Ola Berg changed their vote from Pizza to Sushi",
        "Lea Cohen removed their vote for Pizza",
    ]
    assert [post["thread"]["fields"][0]["value"] for post in flow.posts[1:]] == [
        "1 vote",
        "2 votes",
        "1 vote",
        "no votes",
    ]
    assert (flow.fields["Sushi"], flow.fields["Votes"]) == ("1 vote", "1")


def test_with_several_answers_the_total_includes_the_number_of_voters(lea_browser, ola_browser, flow, everything):
    poll = ask(lea_browser, several_answers="on")
    vote(lea_browser, poll, "Pizza")
    deliver()
    assert flow.fields["Votes"] == "1 by 1 person"
    vote(lea_browser, poll, "Sushi")
    vote(ola_browser, poll, "Sushi")
    deliver()

    assert flow.titles[1:] == [
        "Lea Cohen voted for Pizza",
        "Lea Cohen voted for Sushi",
        "Ola Berg voted for Sushi",
    ]
    assert flow.fields["Votes"] == "3 by 2 people"


def test_a_comment_is_posted_as_a_discussion(ola_browser, flow, everything, poll):
    ola_browser.post(f"/polls/{poll.pk}/comments/", {"text": "The <b>oven</b>\r\nis back."})
    deliver()

    post = flow.posts[-1]
    assert (post["event"], post["title"], post["thread_id"]) == ("discussion", "commented", f"poll:{poll.pk}")
    assert post["body"] == "The &lt;b&gt;oven&lt;/b&gt;<br>is back."


def test_an_added_option_is_posted_and_listed_in_the_fields(ola_browser, flow, everything, poll):
    ola_browser.post(f"/polls/{poll.pk}/options/", {"label": "Fish & chips"})
    deliver()

    assert flow.titles[-1] == "Ola Berg added the option Fish &amp; chips"
    assert list(flow.fields) == ["Pizza", "Sushi", "Fish & chips", "Category", "Votes"]


@pytest.mark.parametrize(
    ("votes", "result", "fields"),
    [
        ("PPPSS", "Pizza wins with 3 of 5 votes", {"Pizza": "3 votes, wins", "Sushi": "2 votes", "Salad": "no votes"}),
        ("P", "Pizza wins with 1 of 1 vote", {"Pizza": "1 vote, wins", "Sushi": "no votes", "Salad": "no votes"}),
        (
            "PPSS",
            "a tie between Pizza and Sushi, 2 votes each",
            {"Pizza": "2 votes, tied", "Sushi": "2 votes, tied", "Salad": "no votes"},
        ),
        (
            "PSA",
            "a tie between Pizza, Sushi and Salad, 1 vote each",
            {"Pizza": "1 vote, tied", "Sushi": "1 vote, tied", "Salad": "1 vote, tied"},
        ),
        ("", "nobody voted", {"Pizza": "no votes", "Sushi": "no votes", "Salad": "no votes"}),
    ],
)
def test_closing_a_poll_posts_the_winner_or_the_tie(lea_browser, person, flow, everything, votes, result, fields):
    poll = ask(lea_browser, options="Pizza\nSushi\nSalad")
    labels = {"P": "Pizza", "S": "Sushi", "A": "Salad"}
    for number, letter in enumerate(votes):
        vote(browser_of(person(f"V{number} Voter")), poll, labels[letter])

    lea_browser.post(f"/polls/{poll.pk}/close/")
    deliver()

    assert flow.titles[-1] == f"Lea Cohen closed the poll: {result}"
    assert flow.thread["status"] == {"value": "closed", "color": "grey"}
    assert flow.thread["actions"] == []
    assert {label: flow.fields[label] for label in fields} == fields


def test_a_tie_of_many_options_is_posted_as_a_number(lea_browser, person, flow, everything):
    poll = ask(lea_browser, options="\n".join("ABCDE"))
    for letter in "ABCDE":
        vote(browser_of(person(f"{letter} Voter")), poll, letter)
    lea_browser.post(f"/polls/{poll.pk}/close/")
    deliver()

    assert flow.titles[-1] == "Lea Cohen closed the poll: a tie between 5 options, 1 vote each"


def test_a_person_without_a_name_is_posted_by_username(flow, everything, django_user_model):
    client = browser_of(django_user_model.objects.create_user("nick"))
    ask(client)
    deliver()

    assert flow.posts[0]["author"] == {"name": "nick"}


def test_a_flow_can_follow_all_polls_or_one_category(lea_browser, flow, follow):
    everything, lunch = follow("All polls"), follow("Lunch")
    for question, category in (("Pizza?", "Lunch"), ("Which chair?", "Purchases"), ("Sushi?", "LUNCH")):
        ask(lea_browser, question, new_category=category)
        deliver()

    def questions(integration):
        return [post["thread"]["title"] for post in flow.posts if post["flow_token"] == integration.flow_token]

    assert questions(everything) == ["Pizza?", "Which chair?", "Sushi?"]
    assert questions(lunch) == ["Pizza?", "Sushi?"]


def test_filters_block_kinds_of_events_with_a_reason(lea_browser, flow, follow, poll):
    follow("All polls", events={"any_of": ["created", "closed"]})
    vote(lea_browser, poll, "Pizza")
    lea_browser.post(f"/polls/{poll.pk}/close/")
    deliver()

    assert flow.titles == ["Lea Cohen closed the poll: Pizza wins with 1 of 1 vote"]
    (refused,) = Delivery.objects.filter(state="filtered")
    assert "vote" in refused.reason.lower()


@pytest.mark.parametrize("preset", OWN_APP.presets, ids=lambda preset: preset.name)
def test_each_preset_posts_the_kinds_that_it_names(lea_browser, flow, follow, preset):
    follow("All polls", **preset.filters)
    poll = ask(lea_browser)
    vote(lea_browser, poll, "Pizza")
    lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})
    lea_browser.post(f"/polls/{poll.pk}/close/")
    deliver()

    kinds = set(Delivery.objects.exclude(state="filtered").values_list("event__kind", flat=True))
    assert (
        kinds
        == {
            "everything": {"created", "voted", "commented", "closed"},
            "decisions": {"created", "closed"},
            "talk": {"created", "commented", "closed"},
        }[preset.name]
    )


def test_the_kinds_in_the_filters_are_exactly_those_that_are_posted(lea_browser, flow, everything):
    poll = ask(lea_browser)
    vote(lea_browser, poll, "Pizza")
    vote(lea_browser, poll, "Sushi")
    remove_vote(lea_browser, poll, "Sushi")
    lea_browser.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})
    lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})
    lea_browser.post(f"/polls/{poll.pk}/close/")
    deliver()

    offered = {choice.value for rule in SERVICES["polls"].rules for choice in rule.choices}
    assert set(Event.objects.values_list("kind", flat=True)) == offered
    assert len(flow.posts) == 7


def test_set_up_offers_all_polls_and_each_category(lea_browser):
    ask(lea_browser, new_category="Lunch")
    ask(lea_browser, new_category="C++")

    offered = SERVICES["polls"].offered("acme")

    assert [origin.name for origin in offered] == ["All polls", "C++", "Lunch"]
    for origin in offered:
        path = origin.external_url.removeprefix("http://bridge.test")
        assert lea_browser.get(path).status_code == 200
    lunch = SERVICES["polls"].find_origin("lunch", "acme")
    assert (lunch.name, lunch.external_url) == ("Lunch", "http://bridge.test/polls/in/acme/lunch/")


# Once, and only what is true


@pytest.mark.parametrize("what", ["vote", "remove_vote", "option", "comment", "close", "create"])
def test_a_double_click_is_posted_once(lea_browser, flow, everything, poll, what):
    vote(lea_browser, poll, "Sushi")
    deliver()
    before = len(flow.posts)
    form_key = "8a5ba5a2-2a6f-4c8c-9c39-1f4d0c3d3f8b"

    for _ in range(2):
        match what:
            case "vote":
                vote(lea_browser, poll, "Pizza")
            case "remove_vote":
                remove_vote(lea_browser, poll, "Sushi")
            case "option":
                lea_browser.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})
            case "comment":
                lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Hm.", "form_key": form_key})
            case "close":
                lea_browser.post(f"/polls/{poll.pk}/close/")
            case "create":
                ask(lea_browser, "Again?", form_key=form_key)
    deliver()

    assert len(flow.posts) == before + 1


def test_changes_that_a_closed_poll_refuses_are_not_posted(lea_browser, flow, everything, poll):
    lea_browser.post(f"/polls/{poll.pk}/close/")
    vote(lea_browser, poll, "Pizza")
    lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})
    deliver()

    assert [title for title in flow.titles if "closed" not in title] == ["Lea Cohen created the poll"]


def test_a_vote_that_is_rolled_back_is_not_posted(lea, everything, poll):
    Event.objects.all().delete()

    with transaction.atomic():
        poll.vote(lea, poll.options.get(label="Pizza"))
        transaction.set_rollback(True)

    assert not Vote.objects.exists()
    assert not Event.objects.exists()


def test_each_post_shows_the_counts_at_the_time_of_posting(lea, ola, flow, everything, poll):
    with transaction.atomic():
        poll.vote(lea, poll.options.get(label="Pizza"))
        poll.vote(ola, poll.options.get(label="Pizza"))
    deliver()

    assert flow.titles[-2:] == ["Lea Cohen voted for Pizza", "Ola Berg voted for Pizza"]
    assert [post["thread"]["fields"][0]["value"] for post in flow.posts[-2:]] == ["2 votes", "2 votes"]


def test_a_poll_that_is_deleted_before_posting_raises_no_error(lea, everything, poll):
    with transaction.atomic():
        poll.vote(lea, poll.options.get(label="Pizza"))
        Poll.objects.all().delete()

    assert not Poll.objects.exists()
    assert Event.objects.count() == 1, "that it was created"


# Without Flowdock or without the outbox


def test_without_flowdock_votes_count_and_are_posted_later_in_order(
    lea_browser, ola_browser, flow, everything, poll, pass_time
):
    flow.is_down = True
    vote(lea_browser, poll, "Pizza")
    deliver()
    vote(ola_browser, poll, "Sushi")
    assert counts(poll) == {"Pizza": 1, "Sushi": 1}
    assert flow.posts == []

    flow.is_down = False
    pass_time(2 * 3600)
    deliver()

    assert flow.titles == ["Lea Cohen created the poll", "Lea Cohen voted for Pizza", "Ola Berg voted for Sushi"]


def test_voting_makes_no_request_to_flowdock(lea_browser, everything, poll):
    """No double of Flowdock is there: whoever spoke to it would fail."""
    assert vote(lea_browser, poll, "Pizza").status_code == 302
    decide_waiting()
    assert Delivery.objects.filter(state="pending").count() == 2


def test_a_vote_is_saved_even_if_the_outbox_fails(lea_browser, everything, poll, caplog):
    def fail(execute, sql, params, many, context):
        if "integrations_" in sql and "integrations_signin" not in sql:
            raise OperationalError("the disk is full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        response = vote(lea_browser, poll, "Pizza")

    assert response.status_code == 302
    assert counts(poll) == {"Pizza": 1, "Sushi": 0}
    assert "You voted for Pizza." in text_of(lea_browser.get(f"/polls/{poll.pk}/"))
    assert "was not posted" in caplog.text


def test_a_vote_without_followers_needs_no_extra_queries(lea_browser, poll):
    vote(lea_browser, poll, "Pizza")

    assert not Event.objects.exists()
