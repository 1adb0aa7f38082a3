"""A Flowdock-compatible server: flows, threads and messages, OAuth and the REST API, with pages for people.

It is a Django project of its own, with its own settings, database and users. It shares nothing with the bridge
but the repository and the folder `static`: the two meet over HTTP only.
"""
