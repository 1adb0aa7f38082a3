"""The wording: a function for each kind of event, which returns what is posted about a payload."""

from __future__ import annotations

from integrations.activity import Author, Status
from integrations.services.base import Payload
from integrations.services.wording import Entity, Link, RichText, Unposted, Wording

STATUS = {"opened": Status("open", "green"), "closed": Status("closed", "black")}
EVENTS = {"Tickets": {"ticket.opened": "Ticket opened", "ticket.closed": "Ticket closed"}}


def ticket(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action not in STATUS:
        return Unposted("only opened and closed tickets are posted")
    number, title, url = payload.number("ticket.number"), payload.text("ticket.title"), payload.url("ticket.url")
    return Wording(
        event_type=f"ticket.{action}",
        title=RichText(f"{action} the ticket"),
        entity=Entity.of(
            f"ticket:{number}", title, url, ("Ticket", RichText(Link(f"#{number}", url))), status=STATUS[action]
        ),
        author=Author(payload.text("user.name")[:100]),
    )


ACTIVITIES = {"ticket": ticket}
