"""From an opened stream to the bytes of its connection."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.db import Error as DatabaseTrouble

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
    """Answer with `head` and then with what happens, until the reader leaves or the stream ends.

    False when it was cut off: the reader has not taken all that it was sent, and is not to be waited for.
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
    except (OSError, DatabaseTrouble):
        log.warning("A stream ended early", exc_info=True)
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
    async def out(chunk: bytes) -> None:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        stream.taken()  # also of what was missed, which may take minutes

    await send(head)
    await out(stream.sign_of_life)
    if stream.opening.resumed:
        # What was missed may be much: before the stream joins, so that nothing waits behind it.
        for gap in feed.missed(stream):
            await _fill(gap, stream, out)
    for gap in feed.join(stream):
        await _fill(gap, stream, out)
    if stream.opening.active:
        await presence.refresh([(stream.user_id, stream.opening.active)])
    while True:
        await out(await stream.next())
        stream.sent()


async def _fill(gap: Gap, stream: Stream, out: Callable[[bytes], Awaitable[None]]) -> None:
    while True:
        page = await gap.channel.read(stream, gap.key, gap.up_to)
        for number, line in page:
            await out(stream.spell(gap.key, number, line))
        if len(page) < PAGE:
            return


async def _until_disconnected(receive: Receive) -> bool:
    while (await receive())["type"] != "http.disconnect":
        pass
    return False


async def _until_over(stream: Stream) -> bool:
    await stream.over.wait()
    return True
