"""What set-up offers of polls: all of them, or those of one category."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from integrations.signals import OfferedOrigin, OwnApp, Preset

from .activities import KINDS, absolute
from .models import ALL_POLLS, SERVICE, Category


def offered_origins(organization: str) -> Iterator[OfferedOrigin]:
    """What flows of the organization can follow. Polls are its members' only, so its flows are shown no others."""
    if not organization:
        return
    yield OfferedOrigin(ALL_POLLS, absolute(reverse("polls:polls")), "Every category", organization)
    for category in Category.objects.filter(organization=organization):
        yield OfferedOrigin(category.name, absolute(category.get_absolute_url()), "One category", organization)


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
