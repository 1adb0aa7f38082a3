"""Check that the ports are free before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Mapping


def taken(env: Mapping[str, str]) -> str:
    """What to do about the first port that is in use, or an empty text if all are free."""
    for variable in ("BRIDGE_PORT", "FLOWDOCK_PORT", "STREAM_PORT"):
        with socket.socket() as probe:
            # As the servers do: a port whose old connections are still closing counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((env["BIND"], int(env[variable])))
            except OSError:
                return (
                    f"Port {env[variable]} on {env['BIND']} is already in use, perhaps by another `make run`. "
                    f"Stop that program, or choose another port: make run {variable}=…"
                )
    return ""
