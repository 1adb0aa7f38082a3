"""Whether the ports are free: a taken one is said in a sentence, before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Mapping


def taken(env: Mapping[str, str]) -> str:
    """What to do about a port that somebody else listens on, or nothing where all are free."""
    for variable in ("BRIDGE_PORT", "FLOWDOCK_PORT", "STREAM_PORT"):
        with socket.socket() as probe:
            # As the servers do: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((env["BIND"], int(env[variable])))
            except OSError:
                return (
                    f"Port {env[variable]} of {env['BIND']} is taken, perhaps by another `make run`. "
                    f"Stop that one, or choose another port: make run {variable}=…"
                )
    return ""
