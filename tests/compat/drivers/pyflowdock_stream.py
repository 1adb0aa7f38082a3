"""PyPI `pyflowdock`: prints each message of a JSON stream, or each line of an event stream, as a line of JSON."""

import json
import os
import sys

import flowdock

kind, *flows = sys.argv[1:]
stream = getattr(flowdock, kind)(os.environ["FLOWDOCK_TOKEN"])
for message in stream.fetch(flows, plain=kind == "EventStream"):
    # It yields each message twice: as an object, and as the line that it was.
    if isinstance(message, bytes) and kind == "JSONStream":
        continue
    print(json.dumps(message.decode() if isinstance(message, bytes) else message), flush=True)
