"""Hostile and broken requests get a clear response, never a server error."""

from __future__ import annotations

import pytest

from polls.models import Category, Comment, Option, Poll, Vote

from .conftest import ask, counts, text_of, vote

pytestmark = pytest.mark.django_db

TEXTS = {
    "nul": "a\0b",
    "controls": "a\x07\x1b[31m\x85b",
    "surrogate": b"a\xed\xa0\x80b",
    "not UTF-8": b"\xff\xfe",
    "overrides": "\u202eazziP\u2066",
    "nothing to see": "\u200b\u200d\u2060",
    "only controls": "\0\x01\x02",
    "huge": "x" * 1_000_000,
    "huge lines": "x\n" * 500_000,
    "grows when folded": "\u0390" * 60,
    "grows when composed": "\ufb2c" * 60,
    "stacked marks": "e" + "\u0301" * 59,
    "markup": "<script>alert(1)</script>{{ 7 }}{% now 'Y' %}",
    "emoji": "👩‍💻🏳️‍🌈",
}


@pytest.fixture(params=TEXTS.values(), ids=TEXTS)
def text(request) -> str | bytes:
    return request.param


@pytest.mark.parametrize("field", ["question", "description", "category", "new_category", "options", "form_key"])
def test_any_text_in_a_new_poll_is_saved_or_rejected(lea_browser, text, field):
    sent = {"question": "?", "description": "", "new_category": "Lunch", "options": "Pizza\nSushi"} | {field: text}

    response = lea_browser.post("/polls/new/", sent)

    assert response.status_code in {302, 422}
    if response.status_code == 302:
        assert lea_browser.get(response["Location"]).status_code == 200
        assert lea_browser.get("/polls/").status_code == 200
        assert lea_browser.get(Poll.objects.get().category.get_absolute_url()).status_code == 200


def test_any_text_as_option_comment_or_search_gets_a_normal_response(lea_browser, poll, text):
    assert lea_browser.post(f"/polls/{poll.pk}/options/", {"label": text}).status_code in {302, 422}
    assert lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": text, "form_key": text}).status_code in {302, 422}
    assert lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": text}).status_code in {302, 422}
    if len(text) < 10_000:
        assert lea_browser.get("/polls/", {"q": text, "page": text}).status_code == 200
        assert lea_browser.get("/polls/new/", {"category": text}).status_code == 200
        assert lea_browser.get(f"/polls/{poll.pk}/live/", {"version": text}).status_code == 200
    assert lea_browser.get(f"/polls/{poll.pk}/").status_code == 200


def test_invisible_and_direction_changing_characters_are_removed(lea_browser):
    poll = ask(lea_browser, "a\x07b\u202ec", "Piz\x1bza\nSushi", description="one\x00\r\ntwo\x0c".replace("\0", ""))

    assert poll.question == "abc"
    assert poll.options.first().label == "Pizza"


def test_a_form_that_is_too_large_is_rejected_with_a_message(lea_browser, poll):
    response = lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "x" * 3_000_000})

    assert response.status_code in {413, 422}
    assert not Comment.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "/polls/999/",
        "/polls/0/",
        f"/polls/{10**18}/",
        f"/polls/{10**30}/",
        f"/polls/{'9' * 5000}/",
        "/polls/999/live/",
        "/polls/-1/",
        "/polls/1.5/",
        "/polls/%00/",
        "/polls/in/nothing/",
        "/polls/in/acme/nothing/",
        "/polls/in/nobody/lunch/",
        "/polls/in/a%00/lunch/",
        "/polls/in/%00/",
        "/polls/in/%F0%9F%8D%95/",
        "/polls/in/a%27%20OR%201=1/",
    ],
)
def test_an_unknown_address_is_not_found(lea_browser, poll, address):
    assert lea_browser.get(address).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/polls/999/options/1/vote/",
        "/polls/999/options/1/remove-vote/",
        "/polls/999/options/",
        "/polls/999/comments/",
        "/polls/999/close/",
        f"/polls/{10**30}/close/",
    ],
)
def test_actions_on_an_unknown_poll_are_not_found(lea_browser, address):
    assert lea_browser.post(address, {"label": "Salad", "text": "Hm."}).status_code == 404


@pytest.mark.parametrize("do", ["vote", "remove-vote"])
def test_the_option_of_another_poll_is_not_found(lea_browser, poll, do):
    other = ask(lea_browser, "Another?", "Yes\nNo")
    vote(lea_browser, other, "Yes")
    foreign = other.options.get(label="Yes")

    for pk in (foreign.pk, 999_999, 0, 10**30):
        assert lea_browser.post(f"/polls/{poll.pk}/options/{pk}/{do}/").status_code == 404

    assert counts(poll) == {"Pizza": 0, "Sushi": 0}
    assert counts(other) == {"Yes": 1, "No": 0}


def test_the_model_also_rejects_an_option_of_another_poll(lea_browser, lea, poll):
    foreign = ask(lea_browser, "Another?", "Yes\nNo").options.first()

    with pytest.raises(ValueError, match="belongs to another poll"):
        poll.vote(lea, foreign)
    with pytest.raises(ValueError, match="belongs to another poll"):
        poll.remove_vote(lea, foreign)
    assert not Vote.objects.exists()


def test_a_body_that_is_not_a_form_changes_nothing(lea_browser, poll):
    for address in ("/polls/new/", f"/polls/{poll.pk}/options/", f"/polls/{poll.pk}/comments/"):
        response = lea_browser.post(address, b"\xff\0{", content_type="application/json")
        assert response.status_code == 422
        response = lea_browser.post(address, b"--x\r\nbroken", content_type="multipart/form-data; boundary=x")
        assert response.status_code in {400, 422}
    assert (Poll.objects.count(), Option.objects.count(), Comment.objects.count()) == (1, 2, 0)


def test_unknown_form_fields_are_ignored(lea_browser, ola_browser, lea):
    poll = ask(lea_browser, author="2", closed_at="2020-01-01", version="99", id="1", slug="x")

    assert (poll.author, poll.closed_at) == (lea, None)
    assert poll.version < 99
    ola_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Hm.", "author": str(lea.pk), "poll": "999"})
    assert Comment.objects.get().author.first_name == "Ola"


def test_a_crafted_category_name_does_not_get_another_category_s_address(lea_browser):
    first = ask(lea_browser, new_category="C++").category
    slug = first.slug
    for name in (slug, slug.replace("_", " "), slug.replace("_", "-"), f"{slug}!", "c"):
        ask(lea_browser, new_category=name)

    assert Category.objects.count() == Category.objects.values("slug").distinct().count() == 6
    assert "C++" in text_of(lea_browser.get(f"/polls/in/acme/{slug}/"))
