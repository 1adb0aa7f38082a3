"""The scopes in words, for the person who is asked to allow them."""

from typing import NamedTuple

from django.conf import settings


class ScopeInWords(NamedTuple):
    name: str
    sentence: str
    icon: str  # a sign in static/icons.svg


ICONS = {
    "flow": "flow",
    "private": "comment",
    "manage": "people",
    "profile": "person",
    "offline_access": "retry",
    "integration": "plus",
}


def in_words(scopes: list[str]) -> list[ScopeInWords]:
    """The given scopes in the order in which they are documented."""
    return [
        ScopeInWords(name, sentence, ICONS[name])
        for name, sentence in settings.OAUTH2_PROVIDER["SCOPES"].items()
        if name in scopes
    ]
