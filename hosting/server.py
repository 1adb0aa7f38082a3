"""uvicorn with the limits of a `Gate`, in one process or in several that share their sockets."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from hosting.connection import Connection
from hosting.gate import Gate, allow_open_files

TCP_USER_TIMEOUT = 60_000  # milliseconds until sent data must be acknowledged; then the client is considered gone
SHUTDOWN_TIMEOUT = 3  # seconds for open responses when the server stops
# A worker that does not answer for this time is replaced. Starting one takes long on a busy machine.
HEALTH_CHECK_TIMEOUT = 10  # seconds


def configured(application: str, gate: Gate, *, workers: int = 1, has_lifespan: bool = False) -> uvicorn.Config:
    """The configuration for the ASGI application `application`, given as "module:name"."""
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
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        timeout_worker_healthcheck=HEALTH_CHECK_TIMEOUT,
    )


def supervise(config: uvicorn.Config, sockets: list[socket.socket]) -> None:
    """Serve with `config.workers` processes, until SIGINT or SIGTERM.

    A process that ends or hangs is replaced. SIGHUP replaces them one after the other, while the others answer.
    """
    Multiprocess(config, sockets).run()


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound to the port. Raises OSError if that is not possible."""
    family: Any = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol, since asyncio otherwise does not set TCP_NODELAY on the connections.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
