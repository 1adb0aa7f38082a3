"""PyPI `python-flowdock`: posts {arguments} to the team inbox."""

import json
import os
import sys

import flowdock

client = flowdock.FlowDock(os.environ["FLOWDOCK_TOKEN"], "Tide Tables")
json.dump([client.post(**keywords) for keywords in json.load(sys.stdin)], sys.stdout)
