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
        # uvicorn waits for open responses, and streams do not end by themselves.
        hub.end()
        await super().shutdown(sockets)
        # uvicorn would raise the signals again, but stopping on request is not a failure.
        self._captured_signals.clear()


def serve(host: str, ports: list[int]) -> None:
    """Serve on `ports` of `host` until SIGINT or SIGTERM. Raises OSError if it cannot listen on one of them."""
    limits = Limits(settings.MAX_CONNECTIONS, settings.MAX_CONNECTIONS_PER_ADDRESS)
    gate = Gate(limits, trusts_forwarded_for=settings.TRUST_FORWARDED_FOR)
    sockets = [listening(host, port) for port in ports]
    Server(configured("flowdock_server.asgi:application", gate, has_lifespan=True)).run(sockets)
