"""Leads Flowdock's host names to the server under test, as an entry in /etc/hosts would; Python loads it at its start.

With PYTHON2=1 it also gives Python 3 the few names that clients written for Python 2 use.
"""

import builtins
import os
import socket

_hosts = dict(entry.split("=") for entry in os.environ["FLOWDOCK_HOSTS"].split(","))
_getaddrinfo = socket.getaddrinfo


def getaddrinfo(host, port, *args, **kwargs):
    host = host.decode() if isinstance(host, bytes) else host
    if host in _hosts:
        host, _, port = _hosts[host].partition(":")
    elif host != "127.0.0.1":
        raise socket.gaierror(f"{host}: no client under test has any business there")
    return _getaddrinfo(host, int(port), *args, **kwargs)


socket.getaddrinfo = getaddrinfo

if os.environ.get("PYTHON2"):
    from forbiddenfruit import curse

    builtins.basestring = builtins.unicode = str
    curse(dict, "iteritems", dict.items)
