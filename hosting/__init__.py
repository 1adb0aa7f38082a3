"""How a process of either project is hosted: its web server, with deadlines and limits, and the folder of its data.

Both projects import it, and it imports neither. It knows ASGI and WSGI, and nothing of Django.
"""
