"""The wording: a function for each kind of event, from its payload to what is posted."""

from __future__ import annotations

from integrations.activity import Author, Status, Thread
from integrations.services.base import Payload
from integrations.services.wording import Entity, Link, Unposted, Wording, Words, fields, title_html

STATUS = {"opened": Status("open", "green"), "closed": Status("closed", "black")}
EVENTS = {"Tickets": {"ticket.opened": "Ticket opened", "ticket.closed": "Ticket closed"}}


def ticket(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action not in STATUS:
        return Unposted("nothing about the ticket that the flow needs to know")
    number, title, url = payload.number("ticket.number"), payload.text("ticket.title"), payload.url("ticket.url")
    thread = Thread(
        title=title_html(title),
        external_url=url,
        status=STATUS[action],
        fields=fields(("Ticket", Words(Link(f"#{number}", url)))),
    )
    return Wording(
        event_type=f"ticket.{action}",
        title=Words(f"{action} ticket"),
        entity=Entity(f"ticket:{number}", title, thread),
        author=Author(payload.text("user.name")[:100]),
    )


ACTIVITIES = {"ticket": ticket}
