"""The scopes: what each lets an application do, and which fields of the API's answers it shows.

A call names the scopes of which it needs one in its `auth=person(...)`. `SHOWN_WITH` names the fields that need more
than the call itself. `tests/flowdock_server/test_scopes.py` holds the whole table and tries every call.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Scope(NamedTuple):
    """`title` and `explanation` are read by the person who is asked for consent."""

    name: str
    title: str
    explanation: str
    icon: str  # a sign in static/icons.svg


SCOPES = (
    Scope(
        "flow",
        "Read and write in your flows",
        "It reads and posts messages, threads and files in every flow that you are in, and sees the people there with "
        "their e-mail addresses.",
        "flow",
    ),
    Scope(
        "private",
        "Read and send your private messages",
        "It reads your private conversations, and what it sends comes from you.",
        "comment",
    ),
    Scope(
        "manage",
        "Manage your flows and organizations",
        "It creates, changes and archives flows, invites, blocks and removes people as far as you may do so yourself, "
        "sees their e-mail addresses and the invite links, and can ask to change your e-mail address.",
        "people",
    ),
    Scope(
        "profile",
        "See your profile",
        "It sees your name, e-mail address, picture and website, and can change your nick.",
        "person",
    ),
    Scope(
        "offline_access",
        "Stay connected while you are away",
        "It can renew its access without asking you again, until you revoke it under Account.",
        "retry",
    ),
    Scope(
        "integration",
        "Connect services to your flows",
        "It sees the names of your flows and of the people there, and adds, changes and removes its own sources. "
        "It does not read messages.",
        "plus",
    ),
)
TITLES = {scope.name: scope.title for scope in SCOPES}

# Fields that an answer has only where the token has one of these scopes. A person's own e-mail address is also shown
# with `profile`. Basic authentication has every scope, a flow token none.
SHOWN_WITH = {"email": ("flow", "manage"), "join_url": ("manage",)}


def described(names: Iterable[str]) -> list[Scope]:
    """The scopes of these names, in the order in which they are documented."""
    wanted = set(names)
    return [scope for scope in SCOPES if scope.name in wanted]
