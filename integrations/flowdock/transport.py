"""One deadline over a whole call: connecting, TLS, sending, and the answer's head and body to the last byte.

The timeout of a socket, and so of requests and urllib3, starts again with every byte that arrives: a server that sends
its head a byte at a time could keep a call waiting for hours. Here each wait on the socket gets only the time that is
left for the call. This needs no thread and no signal, and works for TLS too, which reads from the same socket.

Host names are looked up by the system, with its resolver's timeouts. If that takes too long the call ends there:
nothing is sent after the deadline.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

NOTHING_LEFT = 0.001  # seconds; zero would mean a socket that does not wait at all


class OneDeadlineAdapter(HTTPAdapter):
    """An adapter for a requests session. A call passes its time limit as `timeout=urllib3.Timeout(total=seconds)`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


class _Answer(http.client.HTTPResponse):
    """An answer whose reads all end when the timeout that its socket had at the start is over."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Readable(sock), *args, **kwargs)  # type: ignore[arg-type]  # it only calls makefile


class _Readable:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock))


class _Reader(io.RawIOBase):
    """The socket as a file whose reads all share the timeout that the socket has now."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _OneDeadline(HTTPConnection):
    """urllib3 sets `timeout` when a call starts and reads it before each wait: it gets the time that is left."""

    response_class = _Answer
    _deadline: float | None = None

    @property
    def timeout(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - time.monotonic(), NOTHING_LEFT)

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        sock.settimeout(self.timeout)  # for what comes before the next look at it: the handshake of TLS
        return sock


class _Connection(_OneDeadline):
    pass


class _TLSConnection(_OneDeadline, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
