"""What goes out: from the outbox to Flowdock. The commands `worker` and `deliver_activities` share it.

One thread, the dispatcher's, claims deliveries, records what came of them, and is the only one that uses the database;
another one, the sender's, speaks HTTP for all posts at the same time. A claim holds a few deliveries of one thread,
which are posted one after the other. The first of them is leased meanwhile: its next attempt lies in the future, so no
other worker takes the thread. If the worker dies, the lease ends and the next worker posts the same messages with the
same uuids, by which Flowdock recognizes those that it already has.
"""
