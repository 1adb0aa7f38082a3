"""Run by the tests in a process of its own: creates ORIGINS origins with INTEGRATIONS each, and prints them as JSON."""

from __future__ import annotations

import json
import sys

import django

django.setup()

# ruff: noqa: E402  models can be imported only now

from integrations.models import Integration, Origin


def connect(number: int, integrations: int) -> dict[str, object]:
    name = f"octo/origin-{number}"
    origin = Origin.objects.create(service="github", name=name)
    tokens = [f"token-{number}-{each}" for each in range(integrations)]
    for each, token in enumerate(tokens):
        Integration.objects.create(origin=origin, name=name, flow_token=token, flow_id=f"flow:{each}")
    return {"hook_id": origin.hook_id, "secret": origin.secret, "tokens": tokens}


origins, integrations = map(int, sys.argv[1:])
print(json.dumps([connect(number, integrations) for number in range(origins)]))
