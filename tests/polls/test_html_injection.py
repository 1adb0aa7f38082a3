"""No text on any page becomes a tag or an attribute."""

from __future__ import annotations

import pytest

from polls.models import Poll
from tests.planting import HOSTILE, WORD, plant, structure

from .conftest import ask, vote

# What the pages show of people, so that a test that forgets one is noticed.
SHOWN = {"Category.name", "Poll.question", "Poll.description", "Option.label", "Comment.text", "User.first_name"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_do_not_change_the_elements_of_a_page(lea_browser, ola_browser, ola, text):
    ola.first_name = f"Ola {WORD}"
    ola.save()
    poll = ask(
        ola_browser, f"High {WORD}?", f"Yes {WORD}\nNo {WORD}", description=f"About {WORD}", new_category=f"At {WORD}"
    )
    vote(ola_browser, poll, f"Yes {WORD}")
    ola_browser.post(f"/polls/{poll.pk}/comments/", {"text": f"A {WORD}"})
    pages = ["/polls/", "/polls/?q=high", "/polls/new/", poll.category.get_absolute_url(), f"/polls/{poll.pk}/"]
    before = {page: structure(lea_browser.get(page).content.decode()) for page in pages}

    planted = plant(text, "polls", "auth")

    assert planted >= SHOWN
    assert text[:30] in Poll.objects.get().question
    for page in pages:
        assert structure(lea_browser.get(page).content.decode()) == before[page], page
