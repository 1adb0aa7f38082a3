"""PyPI `pyflowdock`: calls ["Class", [arguments], "method", {keywords}] of its push API from standard input."""

import json
import sys

import flowdock

answers = []
for name, created, method, keywords in json.load(sys.stdin):
    try:
        answers.append(getattr(getattr(flowdock, name)(*created), method)(**keywords))
    except Exception as error:  # noqa: BLE001  (whatever it is, the test wants to see it)
        answers.append(f"{type(error).__name__}: {error}")
json.dump(answers, sys.stdout)
