"""The public interface for your own Django apps: an app sends a signal, and the flows that follow it get an activity.

First the app registers itself in its AppConfig.ready(), so that people find it in set-up beside the external services,
with filters by kind:

    offer(OwnApp(name="polls", title="Polls", ..., kinds={"Votes": {"voted": "Vote"}}, origins=all_categories))

Then it sends a signal whenever something has happened:

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

`service`, `origin` and `organization` name the origin that people connect; it is not an error if nobody has connected
it. The activity is posted after the app's own transaction has been committed (at once if there is none), with the same
filters, outbox and order as a webhook request. `idempotency_key` is the app's own ID of what happened: a second signal
with the same key adds nothing. Without `kind`, no filter applies.

`activity` may also be a function that returns an activity. The bridge calls these functions one after another for each
origin, just before it stores the activity. So of two votes at the same moment, the one that is posted last shows both.
An error that the function raises, for example because the poll has been deleted, is logged, and nothing is posted.

`organization` is the organization that the origin belongs to, if the app separates organizations: two of them may each
have a "Lunch". The app then offers each flow only the origins of its organization, as
`OfferedOrigin(organization=...)`, and checks on each of its pages which organizations the person is in:

    organizations(request)          the organizations of the flows that the person can currently open in Flowdock
    recent_organizations(request)   the same, up to half a minute old: for the automatic updates of an open page

While Flowdock does not respond, both return its last answer to this sign-in, up to twelve hours old, and the bridge's
base template shows a notice.

Both may raise exceptions that the bridge answers with its own pages: nobody is signed in, Flowdock has not responded
for twelve hours, or the person has not allowed the bridge to list their flows. Do not catch them. An app whose origins
are for everybody leaves `organization` out everywhere.

For its own errors, an app can show the bridge's error page, `error_page(request, status, title, text, *next_steps)`,
and `post_only_page(request, next_step)` as the answer to requests that have to be a POST.

A mistake in the activity raises InvalidActivity where the activity is created. After that, the sender gets no errors:
sending costs it one short transaction, the worker calls Flowdock, and errors of the database are logged, not raised.
"""

from __future__ import annotations

from django.dispatch import Signal

from .access import Organization, organizations, recent_organizations
from .error_page import NextStep, error_page, post_only_page
from .services import add as offer
from .services.base import OfferedOrigin, Preset
from .services.own_apps import OwnApp

__all__ = [
    "NextStep",
    "OfferedOrigin",
    "Organization",
    "OwnApp",
    "Preset",
    "error_page",
    "happened",
    "offer",
    "organizations",
    "post_only_page",
    "recent_organizations",
]

happened = Signal()
