"""What happens in a flow, told at once to the pages and streams that are open on it.

    broadcasts.py   Note: what is told, ids only
    hub.py     who listens in this process
    relay.py   from process to process, by PostgreSQL or Redis

`hub.publish(note)` is called by whoever stored something, from any thread, once it is committed; `hub.listen(topic)`
is what an open page reads. A reader fetches what it may see from the database: a note that is lost loses nothing.
"""

from .broadcasts import Note, Topic
from .hub import BACKLOG, KEEP_ALIVE, Hub, Listener
from .relay import relay_for

__all__ = ["BACKLOG", "KEEP_ALIVE", "Hub", "Listener", "Note", "Topic", "hub"]

hub = Hub(relay_for)
