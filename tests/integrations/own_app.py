"""An app beside the bridge, as small as one can be: a bakery that says what comes out of the oven."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from integrations.services import SERVICES
from integrations.signals import OfferedOrigin, OwnApp, Preset, offer

ALL, RYE = "All bread", "Rye"


def bakery() -> OwnApp:
    return OwnApp(
        name="bakery",
        title="Bakery",
        icon="package",
        origin_noun="kind of bread",
        origin_example=ALL,
        kinds={"Oven": {"baked": "Bread baked", "burnt": "Bread burnt"}},
        origins=lambda organization: [
            OfferedOrigin(ALL, "https://bakery.test/", "Whatever is baked"),
            OfferedOrigin(RYE, "https://bakery.test/rye/"),
        ],
        presets=(
            Preset("everything", "Everything", "Whatever happens."),
            Preset("bread", "Bread only", "Nothing burnt.", {"events": {"any_of": ("baked",)}}),
        ),
    )


@contextmanager
def offered() -> Iterator[OwnApp]:
    """The bakery among the services, as it is once its AppConfig is ready."""
    app = bakery()
    offer(app)
    try:
        yield app
    finally:
        del SERVICES[app.name]
