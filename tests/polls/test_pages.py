"""Polls by the front door: what a signed-in person sees and does."""

from .conftest import ask, counts, take_back, vote


def test_a_poll_is_asked_and_voted_in(lea_s, ola_s):
    poll = ask(lea_s)

    assert vote(lea_s, poll, "Pizza").status_code == 302
    vote(ola_s, poll, "Pizza")
    take_back(lea_s, poll, "Pizza")

    assert counts(poll) == {"Pizza": 1, "Sushi": 0}
    page = ola_s.get(f"/polls/{poll.pk}/").content.decode()
    assert "What for lunch?" in page
    assert "Ola Berg" in page
