"""What set-up offers of polls: all of them, or those of one category."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from integrations.signals import OfferedOrigin, OwnApp, Preset

from .activities import KINDS, absolute
from .models import ALL_POLLS, SERVICE, Category


def offered_origins() -> Iterator[OfferedOrigin]:
    yield OfferedOrigin(name=ALL_POLLS, external_url=absolute(reverse("polls:polls")), hint="Every category")
    for category in Category.objects.all():
        yield OfferedOrigin(name=category.name, external_url=absolute(category.get_absolute_url()), hint="One category")


OWN_APP = OwnApp(
    name=SERVICE,
    title="Polls",
    icon="poll",
    origin_noun="category",
    origin_example=ALL_POLLS,
    kinds=KINDS,
    presets=(
        Preset("everything", "Everything", "Whatever happens in polls, as it happens."),
        Preset(
            "decisions",
            "Beginnings and results",
            "When a poll is created, and what came of it.",
            {"events": {"any_of": ("created", "closed")}},
        ),
        Preset(
            "talk",
            "Everything but votes",
            "Polls, options and comments; the counts are in the thread all the same.",
            {"events": {"none_of": ("voted", "vote_removed")}},
        ),
    ),
    origins=offered_origins,
    home="polls:polls",
)
