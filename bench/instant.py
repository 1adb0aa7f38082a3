"""A server that answers each request at once and stores nothing: `python -m bench.instant PORT STATUS`.

It shows how many requests a second the load generator can send.
"""

from __future__ import annotations

import asyncio
import sys


class Answering(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (head := self.received.find(b"\r\n\r\n")) >= 0:
            length = 0
            for line in bytes(self.received[:head]).lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            if len(self.received) < head + 4 + length:
                return
            del self.received[: head + 4 + length]
            self.transport.write(self.answer)  # type: ignore[attr-defined]


async def main(port: int, status: int) -> None:
    answer = b"HTTP/1.1 %d OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nOK\n" % status
    server = await asyncio.get_running_loop().create_server(lambda: Answering(answer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
