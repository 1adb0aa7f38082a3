"""The streaming API: messages of flows and private messages, as they are posted.

middleware.py         the streaming API's own host or port, with the same paths as the REST API
opening.py            requests for a stream, checked as an ordinary API call, with the REST API's errors
respond.py            from an opened stream to the bytes of its connection
stream.py             one open stream: its queue and its format
feed.py               all streams of a process: each message is read once and delivered to all of them
store.py              what streams read from the database
presence.py           who has a stream open
transient_events.py   events that are not stored
"""
