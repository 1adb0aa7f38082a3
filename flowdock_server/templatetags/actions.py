"""The actions of a thread, for its page."""

from dataclasses import dataclass

from django import template

from flowdock_server.models import Thread
from flowdock_server.posting.actions import is_button, signature
from flowdock_server.posting.drafts import is_web_address

register = template.Library()


@dataclass(frozen=True)
class Offer:
    """A link with its `url`, or a button with the `signature` that its form posts to `press-action`."""

    number: int
    name: str
    description: str
    url: str = ""
    signature: str = ""


@register.filter
def offers(thread: Thread) -> list[Offer]:
    """The thread's actions that are valid links or buttons."""
    found = []
    for number, action in enumerate(thread.actions):
        name = str(action.get("name") or action.get("url") or "Go")[:100]
        description = str(action.get("description") or "")
        if is_button(action):
            found.append(Offer(number, name, description, signature=signature(thread, number)))
        elif is_web_address(action.get("url")):
            found.append(Offer(number, name, description, url=action["url"]))
    return found
