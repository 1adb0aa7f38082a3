"""Where services send what happened: one address for each origin."""

from __future__ import annotations

import re
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from integrations import ingest, telemetry
from integrations.fields import UndecipherableSecret
from integrations.models import Origin
from integrations.outages import outage_reason
from integrations.services.base import SignatureMismatch, UnreadablePayload
from integrations.telemetry import Refusal

# What else an address may hold, a NUL for one, is an error to a database.
HOOK_ID = re.compile(r"[a-z0-9-]{1,20}")
UNAVAILABLE = "The event could not be stored. Send it again later."


class TooLarge(Exception):
    """The body has more than HOOK_MAX_BYTES."""


@csrf_exempt
@require_POST
def receive(request: HttpRequest, hook_id: str) -> HttpResponse:
    """An origin's webhook address. 202: stored; 200: it was stored before.

    400: the body cannot be read, with the reason; 403: the signature does not match; 404: unknown address; 410: the
    origin is not connected to any flow, or no longer; 413: larger than HOOK_MAX_BYTES; 503: it cannot be stored now,
    send it again later.
    """
    started, origin = time.monotonic(), None
    try:
        origin = Origin.objects.at(hook_id) if HOOK_ID.fullmatch(hook_id) else None
        if origin is None:
            return refuse(request, 404, "Unknown webhook address.", Refusal.UNKNOWN_ADDRESS)
        body = whole_body(request)
        accepted = ingest.accept(origin, body, request.headers)
    except TooLarge:
        text = f"The body is larger than {settings.HOOK_MAX_BYTES} bytes."
        return refuse(request, 413, text, Refusal.TOO_LARGE, origin=origin)
    except UnreadablePostError:
        return refuse(request, 400, "The body is incomplete. Send it again.", Refusal.INCOMPLETE, origin=origin)
    except SignatureMismatch as error:
        return refuse(request, 403, "The signature does not match.", Refusal.WRONG_SIGNATURE, str(error), origin)
    except UnreadablePayload as error:
        return refuse(request, 400, str(error), Refusal.UNREADABLE, str(error), origin)
    except ingest.UnknownWebhook:
        return refuse(request, 404, "Unknown webhook address.", Refusal.UNKNOWN_ADDRESS, origin=origin)
    except ingest.NotConnected:
        return refuse(request, 410, "This webhook is not connected to any flow.", Refusal.NOT_CONNECTED, origin=origin)
    except UndecipherableSecret as error:
        return refuse(request, 503, UNAVAILABLE, Refusal.KEY_MISSING, str(error), origin)
    except (DatabaseError, InterfaceError) as error:
        if not (reason := outage_reason(error)):
            raise
        return refuse(request, 503, UNAVAILABLE, Refusal.DATABASE, reason, origin)
    event = accepted.event
    seconds = time.monotonic() - started
    telemetry.accepted(
        origin, event.pk, is_new=accepted.is_new, size=len(body), seconds=seconds, kind=event.kind_and_action
    )
    return answer(202, "Accepted.") if accepted.is_new else answer(200, "Already received.")


def refuse(
    request: HttpRequest, status: int, words: str, reason: Refusal, detail: str = "", origin: Origin | None = None
) -> HttpResponse:
    """The answer to a request that is not accepted. It is counted and logged with its reason, and `detail`."""
    return telemetry.refused(request, answer(status, words), reason, detail, origin)


def whole_body(request: HttpRequest) -> bytes:
    """The body, whatever the limit for forms is. Raises TooLarge or UnreadablePostError."""
    # Checked first, so that a body that is too large is not read.
    declared = request.META.get("CONTENT_LENGTH", "")
    if declared.isdecimal() and int(declared) > settings.HOOK_MAX_BYTES:
        raise TooLarge
    body = request.read(settings.HOOK_MAX_BYTES + 1)
    if len(body) > settings.HOOK_MAX_BYTES:
        raise TooLarge
    return body


def answer(status: int, words: str) -> HttpResponse:
    return HttpResponse(f"{words}\n", status=status, content_type="text/plain; charset=utf-8")
