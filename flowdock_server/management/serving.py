"""The server as one process on two ports: the REST API with its pages, and the streaming API."""

from __future__ import annotations

import socket

import uvicorn
from django.conf import settings

from flowdock_server.live import hub
from hosting.gate import Gate, Limits
from hosting.server import configured, listening


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # It waits for open answers, and those of streams have no end of their own.
        hub.end()
        await super().shutdown(sockets)
        # It would raise them again, and to have been told to stop is no failure.
        self._captured_signals.clear()


def serve(host: str, ports: list[int]) -> None:
    """Answer on `ports` of `host` until SIGINT or SIGTERM. Raises OSError for a port that cannot be had."""
    limits = Limits(settings.MAX_CONNECTIONS, settings.MAX_CONNECTIONS_PER_ADDRESS)
    gate = Gate(limits, trusts_forwarded_for=settings.TRUST_FORWARDED_FOR)
    sockets = [listening(host, port) for port in ports]
    Server(configured("flowdock_server.asgi:application", gate, has_lifespan=True)).run(sockets)
