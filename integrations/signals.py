"""The public door for own Django apps: say that something happened, and it is posted to the flows that follow it.

First the app says what it is, so that people find it in set-up beside the external services, with filters by kind:

    offer(OwnApp(name="polls", title="Polls", ..., kinds={"Votes": {"voted": "Vote"}}, origins=all_categories))

in its AppConfig.ready(). Then, whenever something has happened:

    from integrations.activity import Activity, Author, Status, Thread, escape
    from integrations.signals import happened

    happened.send(
        sender=Poll,
        service="polls",
        origin="Lunch",
        organization="acme",
        kind="voted",
        activity=Activity(
            author=Author(name="Lea Cohen"),
            title="voted",
            thread_id=f"poll:{poll.pk}",
            thread=Thread(title=escape(poll.question), external_url=url, status=Status("open", "green")),
        ),
    )

`service`, `origin` and `organization` name the origin that people connect; one that nobody has connected is no error.
The activity is posted once the app's own transaction has committed (at once where there is none), with the same
filters, outbox and order as a webhook's. With `idempotency_key`, an app's own id of what happened, a second signal with
the same key adds nothing. Without `kind`, no filter applies.

`activity` may also be a function that returns one. It is called once the activity has its turn, one after the other for
each origin: of two votes at the same moment, the last to be posted then shows both, whichever that is. What it raises,
since the poll is gone by then, is logged, and nothing is posted.

`organization` says whose origin it is, where the app keeps organizations apart: two of them may both have a "Lunch".
The app then offers each flow the origins of its organization, as `OfferedOrigin(organization=...)`, and asks on each of
its pages who is there, as the bridge does on its own:

    organizations(request)          the organizations of the flows that the person can open in Flowdock right now
    recent_organizations(request)   the same, half a minute old at most: for an open page that asks for news

While Flowdock does not answer, both give its last answer to this sign-in, up to twelve hours old, and the bridge's base
template shows a notice that says so.

Both may raise what the bridge answers with a page of its own: nobody is signed in, Flowdock does not answer and has not
for twelve hours, or the person has not allowed the bridge to list their flows. Let it through. An app whose origins are
everybody's leaves `organization` out everywhere.

A mistake in the activity is InvalidActivity, raised where the activity is made. From then on nothing comes back to the
sender: what it costs it is one short transaction, Flowdock is spoken to by the worker, and trouble with the database is
logged, not raised.
"""

from __future__ import annotations

from django.dispatch import Signal

from .access import Organization, organizations, recent_organizations
from .services import add as offer
from .services.base import OfferedOrigin, Preset
from .services.own_apps import OwnApp

__all__ = [
    "OfferedOrigin",
    "Organization",
    "OwnApp",
    "Preset",
    "happened",
    "offer",
    "organizations",
    "recent_organizations",
]

happened = Signal()
