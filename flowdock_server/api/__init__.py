"""Flowdock's REST API: at the root of the host, under /v1, and with .json endings.

The calls:

    users.py organizations.py flows.py invitations.py sources.py messages.py threads.py actions.py private.py files.py
    applications.py
    push.py         the Push API, whose only key is a flow's API token

What they share:

    urls.py         the calls at their paths
    auth.py         keys and scopes
    errors.py       errors in Flowdock's format (parsing/params.py reads the parameters)
    shapes/         the objects of responses
    middleware.py   the spellings of paths, CORS, and errors of requests that reach no view
    openapi.py      /openapi.json; operation_docs.py completes the texts of its operations
"""
