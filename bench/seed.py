"""Create an origin and its integrations: `python -m bench.seed NAME INTEGRATIONS`, which prints the origin as JSON."""

from __future__ import annotations

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")


def main(name: str, integrations: int) -> None:
    django.setup()
    from integrations.models import Integration, Origin

    origin = Origin.objects.create(service="github", name=name)
    Integration.objects.bulk_create(
        Integration(origin=origin, name=name, flow_token="bench", flow_id=f"flow:{number}")
        for number in range(integrations)
    )
    print(json.dumps({"pk": origin.pk, "hook_id": origin.hook_id, "secret": origin.secret}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
