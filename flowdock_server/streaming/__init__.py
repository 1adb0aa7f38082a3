"""The streaming API: what happens in flows, and what is said to a person in private, as it happens.

base.py         its own address: the same paths as the REST API, on another host or port
opening.py      who asks for what: checked by an ordinary call, with the REST API's errors
store.py        what is read from the database
stream.py       one open stream: what waits to be sent, and how it is spelled
feed.py         the streams of one process: each message is read once and handed to all
presence.py     who is there
bookkeeping.py  events that are not stored
respond.py      from an opened stream to the bytes of its connection
"""
