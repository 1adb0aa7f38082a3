"""A proxy that terminates TLS in front of the server, like nginx, in a thread with asyncio.

Each request gets a new connection, so that the proxy reads only its head and passes on everything else as it arrives,
as streams need it.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_HEAD = 256 * 1024


@contextmanager
def standing(certificate: Path, key: Path, port: int, behind: int) -> Iterator[None]:
    """Serve HTTPS on `port` of this machine, and pass requests on to plain HTTP on the port `behind`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    started, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def stand() -> None:
        server = await asyncio.start_server(
            lambda reader, writer: _pass_on(reader, writer, behind), "127.0.0.1", port, ssl=context, limit=MAX_HEAD
        )
        started.set()
        await stop.wait()
        server.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(stand())

    thread = threading.Thread(target=run, name="TLS front", daemon=True)
    thread.start()
    try:
        assert started.wait(10), "the front does not stand"
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: int) -> None:
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError), _closing(writer):
        head = await reader.readuntil(b"\r\n\r\n")
        request, *headers = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        kept = [header for header in headers if not header.lower().startswith((b"connection:", b"x-forwarded-"))]
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", behind)
        with _closing(server_writer):
            said = [request, *kept, b"X-Forwarded-Proto: https", b"Connection: close", b"", b""]
            server_writer.write(b"\r\n".join(said))
            ends = [
                asyncio.create_task(_copy(reader, server_writer)),
                asyncio.create_task(_copy(server_reader, writer)),
            ]
            try:
                # Either side can end it: the client leaves a stream, or the server has answered.
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()


@contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.close()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(64 * 1024):
            to.write(chunk)
            await to.drain()
