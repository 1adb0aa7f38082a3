"""The limit of accepting: a Django view that does the same input and output as the hook, and nothing else.

It looks up the origin, checks the signature, parses the body, and writes an event and an outbox row in one
transaction, through Django's ORM, without middleware. It has the bridge's database settings and, on SQLite, the
bridge's lock, so that what differs is the work.
"""

from __future__ import annotations

import hmac
import json
import secrets

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone

if not settings.configured:
    from flowdock_bridge import settings as bridge

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES=bridge.DATABASES,
        DATA_DIR=bridge.DATA_DIR,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIDDLEWARE=[],
        ROOT_URLCONF="bench.bare",
        SECRET_KEY="not used",
        USE_TZ=True,
        WEB_THREADS=bridge.WEB_THREADS,
    )
    django.setup()

from bench.payloads import BARE_HOOK_ID
from integrations.transactions import write_transaction


class Origin(models.Model):
    hook_id = models.CharField(max_length=20, unique=True)
    secret = models.CharField(max_length=100)

    class Meta:
        app_label = "bare"


class Event(models.Model):
    origin = models.ForeignKey(Origin, on_delete=models.CASCADE, db_index=False)
    request_id = models.CharField(max_length=200)
    received_at = models.DateTimeField(default=timezone.now)
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    kind = models.CharField(max_length=100)
    title = models.CharField(max_length=500)

    class Meta:
        app_label = "bare"
        constraints = [models.UniqueConstraint(fields=["origin", "request_id"], name="bare_event_once")]


class Delivery(models.Model):
    event = models.ForeignKey(Event, on_delete=models.CASCADE)
    state = models.CharField(max_length=10, default="pending")
    next_attempt_at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = "bare"
        indexes = [models.Index(fields=["next_attempt_at"], condition=models.Q(state="pending"), name="bare_outbox")]


def on_stored(delivery: Delivery) -> None:
    """Called in the transaction. The Celery design has its own."""


def receive(request: HttpRequest, hook_id: str) -> HttpResponse:
    origin = Origin.objects.get(hook_id=hook_id)
    body = request.read()
    expected = "sha256=" + hmac.new(origin.secret.encode(), body, "sha256").hexdigest()
    if not hmac.compare_digest(expected, request.headers["X-Hub-Signature-256"]):
        return HttpResponse(status=403)
    payload = json.loads(body)
    with write_transaction() if connection.vendor == "sqlite" else transaction.atomic():
        event = Event.objects.create(
            origin=origin,
            request_id=request.headers["X-GitHub-Delivery"],
            headers=dict(request.headers),
            body=body,
            kind=request.headers["X-GitHub-Event"],
            title=payload["issue"]["title"],
        )
        on_stored(Delivery.objects.create(event=event))
    # The length is otherwise added by a middleware.
    return HttpResponse("Accepted.\n", status=202, content_type="text/plain", headers={"Content-Length": "10"})


urlpatterns = [path("hooks/<str:hook_id>/", receive)]


def create_tables() -> str:
    """Create the tables and the origin. Returns its secret."""
    with connection.schema_editor() as editor:
        for model in (Origin, Event, Delivery):
            editor.create_model(model)
    return Origin.objects.create(hook_id=BARE_HOOK_ID, secret=secrets.token_urlsafe(24)).secret


application = get_wsgi_application()
