"""Live updates: open pages and streams are notified as soon as something happens in a flow.

    broadcasts.py   Broadcast: what happened, as ids only
    hub.py          the subscribers of this process
    relay.py        broadcasts between processes, through PostgreSQL or Redis

Code that stores something calls `hub.publish(broadcast)` after the commit, from any thread. Open pages read
`hub.listen(topic)`. Subscribers then read from the database what their user may see, so losing a broadcast loses no
content.
"""

from .broadcasts import Broadcast, Topic
from .hub import BACKLOG, KEEP_ALIVE, Hub, Subscriber
from .relay import relay_for

__all__ = ["BACKLOG", "KEEP_ALIVE", "Broadcast", "Hub", "Subscriber", "Topic", "hub"]

hub = Hub(relay_for)
