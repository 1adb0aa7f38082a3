"""What set-up offers: all polls of an organization, or those of one category."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from integrations.signals import OfferedOrigin, OwnApp, Preset

from .activities import KINDS, absolute
from .models import ALL_POLLS, SERVICE, Category


def offered_origins(organization: str) -> Iterator[OfferedOrigin]:
    """The origins that flows of the organization can follow. Its polls are visible only to its members."""
    if not organization:
        return
    yield OfferedOrigin(ALL_POLLS, absolute(reverse("polls:polls")), "Polls of every category", organization)
    for category in Category.objects.filter(organization=organization):
        yield OfferedOrigin(
            category.name, absolute(category.get_absolute_url()), "Polls of this category", organization
        )


OWN_APP = OwnApp(
    name=SERVICE,
    title="Polls",
    icon="poll",
    origin_noun="category",
    origin_example=ALL_POLLS,
    kinds=KINDS,
    presets=(
        Preset("everything", "Everything", "Every event."),
        Preset(
            "decisions",
            "New polls and results",
            "When a poll is created, and its result when it is closed.",
            {"events": {"any_of": ("created", "closed")}},
        ),
        Preset(
            "talk",
            "Everything except votes",
            "Polls, options and comments. The thread still shows the number of votes.",
            {"events": {"none_of": ("voted", "vote_removed")}},
        ),
    ),
    origins=offered_origins,
    home="polls:polls",
)
