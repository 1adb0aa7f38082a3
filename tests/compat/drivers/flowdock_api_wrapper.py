"""PyPI `flowdock-api-wrapper`: calls ["method", [arguments], {keywords}] of one connection, from standard input."""

import json
import sys

import flowdock

given = json.load(sys.stdin)
connection = flowdock.connect(**given["connect"])
for step in given.get("through", []):
    connection = getattr(connection, step[0])(*step[1:])
answers = []
for method, arguments, keywords in given["calls"]:
    answer = getattr(connection, method)(*arguments, **keywords)
    answers.append(answer.decode() if isinstance(answer, bytes) else answer)
json.dump(answers, sys.stdout)
