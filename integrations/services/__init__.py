"""The registry: which services there are. A new one is a folder beside this file and a line in SERVICES."""

from __future__ import annotations

from .base import Service
from .github import GitHub

SERVICES: dict[str, Service] = {service.name: service for service in (GitHub(),)}


def choices() -> list[tuple[str, str]]:
    """For model and form fields; callable, so that a new service needs no migration."""
    return [(service.name, service.title) for service in SERVICES.values()]
