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
        kind="voted",
        activity=Activity(
            author=Author(name="Lea Cohen"),
            title="voted",
            thread_id=f"poll:{poll.pk}",
            thread=Thread(title=escape(poll.question), external_url=url, status=Status("open", "green")),
        ),
    )

`service` and `origin` name the origin that people connect; one that nobody has connected is no error. The activity is
posted once the app's own transaction has committed (at once where there is none), with the same filters, outbox and
order as a webhook's. With `delivery_id`, an app's own id of what happened, a second signal with the same adds nothing.
Without `kind`, no filter applies.

`activity` may also be a function that returns one. It is called once the activity has its turn, one after the other for
each origin: of two votes at the same moment, the last to be posted then shows both, whichever that is. What it raises,
since the poll is gone by then, is logged, and nothing is posted.

A mistake in the activity is InvalidActivity, raised where the activity is made. From then on nothing comes back to the
sender: what it costs it is one short transaction, Flowdock is spoken to by the worker, and trouble with the database is
logged, not raised.
"""

from __future__ import annotations

from django.dispatch import Signal

from .services import add as offer
from .services.base import OfferedOrigin, Preset
from .services.own_apps import OwnApp

__all__ = ["OfferedOrigin", "OwnApp", "Preset", "happened", "offer"]

happened = Signal()
