"""The limit of posting: a bare view that looks up the source and makes the same inserts through the ORM.

`python -m bench.bare_post PORT` serves it as `python -m flowdock_server serve` serves the API: the same web server,
threads, database settings and transaction, without middleware, validation, scopes, tags, words or broadcasts.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.bare_settings")

from django.core.wsgi import get_wsgi_application

_requests = get_wsgi_application()

from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from flowdock_server.models import Flow, Message, Source, Thread  # noqa: E402
from flowdock_server.posting.messages import one_at_a_time  # noqa: E402
from hosting.bodies import Bodies  # noqa: E402
from hosting.gate import Gate, Limits  # noqa: E402
from hosting.server import configured, listening  # noqa: E402
from hosting.wsgi import Front  # noqa: E402


def post(request: HttpRequest) -> JsonResponse:
    body = json.loads(request.body)
    digest = hashlib.sha256(body["flow_token"].encode()).hexdigest()
    source = Source.objects.select_related("flow").get(token_digest=digest)
    with one_at_a_time(), transaction.atomic():
        number = Flow.objects.select_for_update().values_list("last_number", flat=True).get(pk=source.flow_id) + 1
        thread = _saved_thread(source, body, number) if body["event"] == "activity" else None
        message = Message.objects.create(
            flow=source.flow,
            source=source,
            number=number,
            thread=thread,
            event=body["event"],
            title=body.get("title", ""),
            content=body.get("content", ""),
        )
        with connection.cursor() as cursor:
            words = "array_to_tsvector(%s)" if connection.vendor == "postgresql" else "%s"
            text: Any = (body.get("content") or body["title"]).split()
            cursor.execute(
                f"INSERT INTO flowdock_server_search (rowid, words) VALUES (%s, {words})",
                [message.pk, text if connection.vendor == "postgresql" else " ".join(text)],
            )
        Flow.objects.filter(pk=source.flow_id).update(last_number=number)
    return JsonResponse({"id": message.number, "event": message.event}, status=201)


def _saved_thread(source: Source, body: dict[str, Any], number: int) -> Thread:
    key = body.get("external_thread_id") or body["thread_id"]
    thread = Thread.objects.filter(source=source, external_thread_id=key).first()
    if thread is None:
        thread = Thread(flow_id=source.flow_id, source=source, external_thread_id=key, initial_number=number)
    thread.title, thread.body = body["thread"]["title"], body["thread"]["body"]
    thread.fields = body["thread"]["fields"]
    thread.activities += 1
    thread.last_number = number
    thread.save()
    return thread


urlpatterns = [path("messages", post), path("activities", post)]

application = Front(
    _requests,
    threads=settings.THREADS,
    bodies=Bodies(settings.DATA_DIR, settings.MAX_BODY_BYTES),
    largest_body=lambda scope: settings.MAX_BODY_BYTES,
)

if __name__ == "__main__":
    import uvicorn

    gate = Gate(Limits(settings.MAX_CONNECTIONS, settings.MAX_CONNECTIONS_PER_ADDRESS))
    config = configured("bench.bare_post:application", gate)
    uvicorn.Server(config).run([listening("127.0.0.1", int(sys.argv[1]))])
