"""PyPI `flowdock-api-wrapper`: prints each event of a flow as a line of JSON."""

import json
import os
import sys

import flowdock

for event in flowdock.connect(token=os.environ["FLOWDOCK_TOKEN"], org=sys.argv[1], flow=sys.argv[2]).events():
    print(json.dumps(event), flush=True)
