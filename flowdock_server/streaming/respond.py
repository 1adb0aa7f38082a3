"""Writes an opened stream to its connection."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.db import Error as AnyDatabaseError

from hosting.parts import Parts

from . import presence
from .feed import Feed, Gap
from .opening import Opening
from .store import PAGE
from .stream import Stream

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def respond(opening: Opening, head: Message, receive: Receive, send: Send) -> bool:
    """Send `head` and then the stream's messages, until the client disconnects or the stream ends.

    False if the stream was cut off: the client has not read everything, and the connection should be aborted.
    """
    stream = Stream(opening)
    feed = Feed.of_this_loop()
    tasks = {
        asyncio.create_task(_write(stream, feed, head, send)),
        asyncio.create_task(_until_disconnected(receive)),
        asyncio.create_task(_until_over(stream)),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        is_open = all(task.result() for task in done)
    except (OSError, AnyDatabaseError):
        log.warning("A stream was ended by an error", exc_info=True)
        return False
    finally:
        feed.leave(stream)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if is_open and not stream.is_cut_off:
        await send({"type": "http.response.body", "body": b""})
    return not stream.is_cut_off


async def _write(stream: Stream, feed: Feed, head: Message, send: Send) -> bool:
    async def out(parts: Parts) -> None:
        # `hosting.connection` sends each part as a chunk of its own. Other servers ignore the key.
        await send({"type": "http.response.body", "body": parts.body, "more_body": True, "hosting.parts": parts})
        stream.progressed()  # sending what was missed may take minutes

    await send(head)
    await out(Parts([stream.keep_alive]))
    if stream.opening.resumed:
        # Before the stream joins the feed, since so much may have been missed that its queue would overflow.
        for gap in feed.missed(stream):
            await _fill(gap, stream, out)
    for gap in feed.join(stream):
        await _fill(gap, stream, out)
    if stream.opening.active:
        await presence.refresh([(stream.user_id, stream.opening.active)])
    while True:
        await out(await stream.next())
        stream.sent()


async def _fill(gap: Gap, stream: Stream, out: Callable[[Parts], Awaitable[None]]) -> None:
    while True:
        page = await gap.channel.read(stream, gap.key, gap.up_to)
        for number, line in page:
            await out(Parts([stream.format(gap.key, number, line)]))
        if len(page) < PAGE:
            return


async def _until_disconnected(receive: Receive) -> bool:
    while (await receive())["type"] != "http.disconnect":
        pass
    return False


async def _until_over(stream: Stream) -> bool:
    await stream.over.wait()
    return True
