"""Flowdock's REST API: at the root of the host, under /v1, and with .json endings.

params.py    query, form and JSON, merged
errors.py    every failure in Flowdock's form
auth.py      who calls, and what they may
shapes/     the objects as the API shows them
middleware.py  spellings of addresses, CORS, the errors of what never reached a view
users.py flows.py sources.py messages.py threads.py applications.py    the calls
"""
