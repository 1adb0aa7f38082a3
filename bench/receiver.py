"""A Flowdock that takes every activity and keeps none, after DELAY seconds: `python -m bench.receiver PORT DELAY`.

Its loop must not be what a measurement measures, so it reads no more of a request than where it ends.
"""

from __future__ import annotations

import asyncio
import re
import sys

BODY = b'{"id": 1, "thread_id": "T"}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
LENGTH = re.compile(rb"\r\ncontent-length:\s*([0-9]+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.loop = asyncio.get_running_loop()
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self.received, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self.received) < size:
                return
            self.received = self.received[size:]
            if self.delay:
                self.loop.call_later(self.delay, self.transport.write, ANSWER)
            else:
                self.transport.write(ANSWER)


async def main(port: int, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(delay), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
