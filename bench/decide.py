"""Decide all accepted events, as a worker does: `python -m bench.decide` prints how many, and CPU seconds for 1,000."""

from __future__ import annotations

import json
import os
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")


def main() -> None:
    django.setup()
    from integrations.deciding import decide_waiting

    began, spent = time.perf_counter(), time.process_time()
    count = decide_waiting()
    took, spent = time.perf_counter() - began, time.process_time() - spent
    print(json.dumps({"count": count, "cpu": spent / count * 1000, "per_second": count / took}))


if __name__ == "__main__":
    main()
