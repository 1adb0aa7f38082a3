"""The registry of services. An external service is a folder beside this file and a line in EXTERNAL."""

from __future__ import annotations

from django.utils.module_loading import import_string

from .base import Service
from .own_apps import OwnApp

EXTERNAL = (
    "github.GitHub",
    "gitlab.GitLab",
)  # fmt: skip

# By name, in the order in which set-up shows them. `signals.offer` appends your own apps.
SERVICES: dict[str, Service] = {
    service.name: service for service in (import_string(f"{__name__}.{path}")() for path in EXTERNAL)
}


def add(app: OwnApp) -> None:
    """Offer an app beside the external services. Raises ValueError if its name is taken."""
    if app.name in SERVICES:
        raise ValueError(f"a service named {app.name!r} already exists")
    SERVICES[app.name] = app


def named(name: str) -> Service:
    """The service of that name, or a stand-in for one that is no longer installed."""
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
    """The choices of model and form fields: a callable, so that a new service needs no migration."""
    return [(service.name, service.title) for service in SERVICES.values()]
