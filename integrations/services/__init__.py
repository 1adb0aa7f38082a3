"""The registry: which services there are. An external one is a folder beside this file and a line in EXTERNAL."""

from __future__ import annotations

from django.utils.module_loading import import_string

from .base import Service
from .own_apps import OwnApp

EXTERNAL = (
    "github.GitHub",
    "gitlab.GitLab",
)  # fmt: skip

# By name, in the order in which set-up shows them. Own apps come after, as `signals.offer` adds them.
SERVICES: dict[str, Service] = {
    service.name: service for service in (import_string(f"{__name__}.{path}")() for path in EXTERNAL)
}


def add(app: OwnApp) -> None:
    """Offer an own app beside the external services. Raises ValueError where its name is taken."""
    if app.name in SERVICES:
        raise ValueError(f"there is a service {app.name!r} already")
    SERVICES[app.name] = app


def named(name: str) -> Service:
    """The service of that name; of one that is no longer installed, what there is left to say."""
    return SERVICES.get(name) or OwnApp(
        name=name,
        title=name.capitalize(),
        icon="package",
        origin_noun="origin",
        origin_example="",
        kinds={},
        origins=lambda organization: (),
    )


def own_apps() -> list[OwnApp]:
    return [service for service in SERVICES.values() if isinstance(service, OwnApp)]


def choices() -> list[tuple[str, str]]:
    """For model and form fields; callable, so that a new service needs no migration."""
    return [(service.name, service.title) for service in SERVICES.values()]
