"""The scopes: what each allows an application to do, and which fields of responses it shows.

Each call names the scopes that allow it in its `auth=person(...)`. `SHOWN_WITH` names fields that require other scopes
than the call itself. `tests/flowdock_server/test_scopes.py` contains the whole table and tries every call.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Scope(NamedTuple):
    """`title` and `explanation` are shown on the consent page."""

    name: str
    title: str
    explanation: str
    icon: str  # an id in static/icons.svg


SCOPES = (
    Scope(
        "flow",
        "Read and write in your flows",
        "It can read and post messages, threads and files in all your flows, and see their members with e-mail "
        "addresses.",
        "flow",
    ),
    Scope(
        "private",
        "Read and send your private messages",
        "It can read your private conversations and send messages in your name.",
        "comment",
    ),
    Scope(
        "manage",
        "Manage your flows and organizations",
        "It can create, change and archive flows, invite, block and remove people as far as you can, see their e-mail "
        "addresses and the invite links, and request a change of your e-mail address.",
        "people",
    ),
    Scope(
        "profile",
        "See your profile",
        "It can see your name, e-mail address, picture and website, and change your nickname.",
        "person",
    ),
    Scope(
        "offline_access",
        "Stay connected while you are away",
        "It can renew its access without asking you again, until you revoke it on your account page.",
        "retry",
    ),
    Scope(
        "integration",
        "Connect services to your flows",
        "It can see the names of your flows and their members, and add, change and remove its own sources. "
        "It cannot read messages.",
        "plus",
    ),
)
TITLES = {scope.name: scope.title for scope in SCOPES}

# Fields that a response includes only if the token has one of these scopes. `profile` also shows a person's own e-mail
# address. Basic authentication has all scopes, a flow token has none.
SHOWN_WITH = {"email": ("flow", "manage"), "join_url": ("manage",)}


def described(names: Iterable[str]) -> list[Scope]:
    """The scopes with these names, in the order of SCOPES."""
    wanted = set(names)
    return [scope for scope in SCOPES if scope.name in wanted]
