"""uvicorn, with the limits of a `Gate`, in one process or in several that share their sockets."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from hosting.connection import Connection
from hosting.gate import Gate, allow_open_files

# A reader that is gone without a word, or takes nothing for so long, is no longer there.
UNACKNOWLEDGED = 60_000  # milliseconds
FAREWELL = 3  # seconds that open answers have when the server stops
# A busy machine takes long to start a process. One that does not answer for so long is replaced.
HUNG = 10  # seconds


def configured(application: str, gate: Gate, *, workers: int = 1, has_lifespan: bool = False) -> uvicorn.Config:
    """For the ASGI application that `application` names, as "module:name"."""
    allow_open_files(gate.limits.connections)
    return uvicorn.Config(
        application,
        http=partial(Connection, gate=gate),  # type: ignore[arg-type]
        loop="asyncio",
        ws="none",
        lifespan="on" if has_lifespan else "off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        workers=workers,
        timeout_keep_alive=gate.limits.idle_seconds,
        timeout_graceful_shutdown=FAREWELL,
        timeout_worker_healthcheck=HUNG,
    )


def supervise(config: uvicorn.Config, sockets: list[socket.socket]) -> None:
    """Serve in as many processes as `config` says, until SIGINT or SIGTERM.

    One that ends or hangs is replaced; SIGHUP replaces them all, one after the other, while the others answer.
    """
    Multiprocess(config, sockets).run()


def listening(host: str, port: int) -> socket.socket:
    """Raises OSError for a port that cannot be had."""
    family: Any = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or else asyncio does not know the connections for TCP, and lets them wait for more to send.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it from the socket that they come in on
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
