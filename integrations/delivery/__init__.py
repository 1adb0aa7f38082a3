"""The one door out: from the outbox to Flowdock. `worker` and `deliver_activities` share it.

One thread, the dispatcher's, claims, marks and is alone in touching the database; the senders speak HTTP and nothing
else. A hand is a few deliveries of one thread, posted by one sender one after the other. While it is out, the first of
them is leased: its time lies in the future, so that nobody else takes the thread. If the worker dies the lease ends,
and the next one posts the same messages with the same uuids, by which Flowdock recognises what it has already.
"""
