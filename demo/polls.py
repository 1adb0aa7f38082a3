"""The demonstration's poll: it is connected to the flow, voted on by two people, and closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import connect
from .visitor import NotOnThePage, Visitor

EVERYTHING = "All polls"
CATEGORY = "Lunch"
QUESTION = "What do we have for lunch on Friday?"


def run(env: Mapping[str, str]) -> str:
    """Run a poll and return its question and address. Raises NotOnThePage if the pages lead elsewhere."""
    one, other = (somebody(env, account) for account in (connect.ACCOUNT, connect.OTHER))
    follow_polls(one, env)
    ask(one, env)
    address = one.page.url
    one.send("Vote for Pizza")
    other.open(address)
    other.send("Vote for Sushi")
    one.open(address)
    one.send("Add", label="Soup and bread")
    one.send("Vote for Soup and bread")
    other.open(address)
    other.send("Comment", text="Soup is what the weather asks for.\nI am in.")
    other.send("Vote for Soup and bread")
    one.open(address)
    one.send("Close poll")
    return f"{QUESTION} {address}"


def somebody(env: Mapping[str, str], account: str) -> Visitor:
    """A person who is signed in to the bridge and has given consent in Flowdock."""
    visitor = Visitor()
    connect.sign_in(visitor, env, account)
    visitor.open(f"{env['BRIDGE_URL']}/polls/")
    if visitor.page.url.startswith(env["FLOWDOCK_SERVER_URL"]):
        visitor.send("Allow")
    return visitor


def follow_polls(visitor: Visitor, env: Mapping[str, str]) -> None:
    """Connect all polls to the flow, unless they are already connected."""
    visitor.open(f"{env['FLOWDOCK_SERVER_URL']}/app/acme/main/settings")
    try:
        visitor.page.link(f"Configure {EVERYTHING}")
    except NotOnThePage:
        connect.set_up(visitor, env, "polls", EVERYTHING)


def ask(
    visitor: Visitor, env: Mapping[str, str], question: str = QUESTION, options: Iterable[str] = ("Pizza", "Sushi")
) -> None:
    visitor.open(f"{env['BRIDGE_URL']}/polls/new/")
    form, _ = visitor.page.form("Create poll")
    filled = {"question": question, "new_category": CATEGORY, "options": "\n".join(options)}
    if "category" in form.fields:
        # Once categories exist, one can be chosen; a new category with an existing name is the existing one.
        filled["category"] = ""
    visitor.send("Create poll", boxes=None, **filled)
