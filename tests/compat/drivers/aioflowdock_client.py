"""PyPI `aioflowdock`: calls ["method", arguments…] of a session, after listening to the flows that are arguments.

Prints {"answers": what the calls gave, "heard": what the stream brought by then}.
"""

import asyncio
import json
import os
import sys

import aioflowdock


async def main() -> None:
    session = aioflowdock.Session(os.environ["FLOWDOCK_TOKEN"])
    heard: list[dict] = []
    failures: list[str] = []
    session.on("error", lambda error: failures.append(repr(error)))
    stream = session.stream(sys.argv[1:], {"active": "true", "user": 1})
    stream.on("message", heard.append)
    await stream.connect()
    calls, answers = json.load(sys.stdin), []
    for method, *arguments in calls:
        answer = await getattr(session, method)(*arguments)
        answers.append(answer[0] if isinstance(answer, tuple) else repr(answer))
    for _ in range(100):
        if len([message for message in heard if message["event"] == "message"]) >= 1:
            break
        await asyncio.sleep(0.1)
    await stream.end()
    await session.session.close()
    json.dump({"answers": answers, "heard": heard, "failures": failures}, sys.stdout)


asyncio.run(main())
