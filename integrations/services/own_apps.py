"""Your own Django apps as services: they send a signal in the same process instead of webhook requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .base import BRIDGE_KINDS, EVERYTHING, InvalidOrigin, OfferedOrigin, Preset, Service
from .filters import Choice, Rule

MOST_NAMED = 8


class OwnApp(Service):
    """A Django app that set-up offers beside the external services. The app registers it once.

    `kinds` are the app's kinds of events, which people select in filters: under each heading, the `kind` that the app
    sends with the signal and its title, {"Votes": {"voted": "Vote"}}. `origins` is called each time with the
    organization of a flow (its `parameterized_name`) and returns the origins that the flow can connect; origins of
    another organization are ignored. `home` names the URL pattern of the app's first page: "polls:polls".
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
        choices = tuple(Choice(kind, title, group) for group, titles in kinds.items() for kind, title in titles.items())
        if reserved := {choice.value for choice in choices} & set(BRIDGE_KINDS):
            raise ValueError(f"{min(reserved)!r} is a kind of the bridge itself, to which no filter applies")
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
        # An exact match first: an app may have both RYE and Rye.
        for normalize in (str, _normalized):
            for origin in offered:
                if normalize(origin.name) == normalize(typed):
                    return origin
        names = ", ".join(origin.name for origin in offered[:MOST_NAMED])
        more = " …" if len(offered) > MOST_NAMED else ""
        problem = f"{self.title} has no such" if _normalized(typed) else "Choose a"
        raise InvalidOrigin(f"{problem} {self.origin_noun}. Available: {names}{more}")


def _normalized(name: str) -> str:
    return " ".join(name.split()).casefold()
