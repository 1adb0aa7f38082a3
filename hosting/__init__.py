"""What both projects need: the web server, with deadlines and limits, the data folder, and a parser of JSON.

    server.py        uvicorn, in one process or several
    connection.py    a connection with deadlines for its head, body and response
    gate.py          counts connections and checks their deadlines
    bodies.py        request bodies while they arrive
    wsgi.py          runs a WSGI application in a few threads
    addresses.py     client addresses, for limits
    data_folder.py   permissions of the data folder
    hostile_json.py  parses JSON from outside
    logs.py          log lines, as text or as JSON
    health.py        answers probes, also while all threads wait
    request_ids.py   an id for each request
    memory.py        returns memory to the system

Both projects import it; it imports neither of them, and nothing of Django.
"""
