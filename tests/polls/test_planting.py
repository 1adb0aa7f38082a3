"""No text, wherever it comes from and on whichever page it stands, becomes a tag or an attribute."""

from __future__ import annotations

import pytest

from polls.models import Poll
from tests.planting import HOSTILE, WORD, plant, structure

from .conftest import ask, vote

# What the pages show of people, so that a test that forgets one is noticed.
SHOWN = {"Category.name", "Poll.question", "Poll.description", "Option.label", "Comment.text", "User.first_name"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_has_the_same_elements_whatever_the_texts_are(lea_s, ola_s, ola, text):
    ola.first_name = f"Ola {WORD}"
    ola.save()
    poll = ask(ola_s, f"High {WORD}?", f"Yes {WORD}\nNo {WORD}", description=f"About {WORD}", new_category=f"At {WORD}")
    vote(ola_s, poll, f"Yes {WORD}")
    ola_s.post(f"/polls/{poll.pk}/comments/", {"text": f"A {WORD}"})
    pages = ["/polls/", "/polls/?q=high", "/polls/new/", poll.category.get_absolute_url(), f"/polls/{poll.pk}/"]
    before = {page: structure(lea_s.get(page).content.decode()) for page in pages}

    planted = plant(text, "polls", "auth")

    assert planted >= SHOWN
    assert text[:30] in Poll.objects.get().question
    for page in pages:
        assert structure(lea_s.get(page).content.decode()) == before[page], page
