"""A Flowdock that takes every activity and keeps none, after DELAY seconds: `python -m bench.receiver PORT DELAY`."""

from __future__ import annotations

import asyncio
import sys

BODY = b'{"id": 1, "thread_id": "T"}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = [line.lower() for line in head.split(b"\r\n")]
            lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
            await reader.readexactly(sum(lengths))
            if delay:
                await asyncio.sleep(delay)
            writer.write(ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port: int, delay: float) -> None:
    server = await asyncio.start_server(lambda reader, writer: take(reader, writer, delay), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
