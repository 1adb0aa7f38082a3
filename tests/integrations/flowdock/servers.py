"""Real servers, since the double of `requests` has no clock and no connections."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

HEAD = b"HTTP/1.1 200 OK\r\n"
EMPTY_LIST = HEAD + b"Content-Length: 2\r\n\r\n[]"


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server: `answer` gets each connection after its request; the address."""

    def serve() -> None:
        with contextlib.suppress(OSError):  # the test is over
            while True:
                connection, _ = server.accept()
                with contextlib.suppress(OSError), connection:
                    if tls:
                        connection = tls.wrap_socket(connection, server_side=True)
                    with connection:
                        connection.recv(65536)
                        answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def trickle(before: bytes, byte: bytes) -> Callable[[socket.socket], None]:
    """Sends `before` at once and then a byte every 20 ms: each arrives in time, so no timeout of a socket ends it."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(before)
        for _ in range(1000):
            connection.sendall(byte)
            time.sleep(0.02)

    return answer
