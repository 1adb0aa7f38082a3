"""Django apps beside this one, as services: nothing is sent over the network, the app tells of it by a signal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .base import UNSORTED, InvalidOrigin, OfferedOrigin, Preset, Service
from .filters import Choice, Rule

EVERYTHING = Preset("everything", "Everything", "Whatever happens there, as it happens.")
MOST_NAMED = 8


class OwnApp(Service):
    """What an app says of itself, once, to be offered in set-up beside the external services.

    `kinds` are its kinds of happening, which people switch on and off in filters: a heading, then the `kind` that the
    app sends with the signal, and its title there: {"Votes": {"voted": "Vote"}}. `origins` is called with the
    organization of a flow (its `parameterized_name`) and lists what can be connected to that flow; it is called each
    time. What it lists of another organization is not offered. `home` names the URL pattern of the app's first page:
    "polls:polls".
    """

    def __init__(
        self,
        *,
        name: str,
        title: str,
        icon: str,
        origin_noun: str,
        origin_example: str,
        kinds: Mapping[str, Mapping[str, str]],
        origins: Callable[[str], Iterable[OfferedOrigin]],
        presets: Iterable[Preset] = (EVERYTHING,),
        home: str = "",
    ) -> None:
        self.name, self.title, self.icon, self.home = name, title, icon, home
        self.origin_noun, self.origin_example = origin_noun, origin_example
        self.origins = origins
        self.presets = tuple(presets)
        choices = tuple(Choice(kind, words, group) for group, titles in kinds.items() for kind, words in titles.items())
        if reserved := {choice.value for choice in choices} & set(UNSORTED):
            raise ValueError(f"{min(reserved)!r} is a kind of the bridge's own, to which no filter applies")
        self.rules = (Rule("events", "Events", "", choices=choices),) if choices else ()

    def offered(self, organization: str) -> tuple[OfferedOrigin, ...]:
        return tuple(origin for origin in self.origins(organization) if origin.organization in {"", organization})

    def clean_origin(self, typed: str) -> tuple[str, str]:
        origin = self.find_origin(typed, "")
        return origin.name, origin.external_url

    def find_origin(self, typed: str, organization: str) -> OfferedOrigin:
        offered = self.offered(organization)
        if not offered:
            raise InvalidOrigin(f"There is no {self.origin_noun} in {self.title} yet. Create one there first.")
        # As it is spelt, before anything like it: an app may tell RYE from Rye.
        for same in (str, _loosely):
            for origin in offered:
                if same(origin.name) == same(typed):
                    return origin
        names = ", ".join(origin.name for origin in offered[:MOST_NAMED])
        more = " …" if len(offered) > MOST_NAMED else ""
        problem = f"{self.title} has no such" if _loosely(typed) else "Choose the"
        raise InvalidOrigin(f"{problem} {self.origin_noun}. There are: {names}{more}")


def _loosely(name: str) -> str:
    return " ".join(name.split()).casefold()
