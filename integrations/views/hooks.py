"""Where services send what happened: one address for each origin."""

from __future__ import annotations

import logging
import re

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils.log import log_response
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from integrations import ingest
from integrations.fields import UndecipherableSecret
from integrations.models import Origin
from integrations.outages import outage_reason
from integrations.services.base import SignatureMismatch, UnreadablePayload

logger = logging.getLogger(__name__)

# What else an address may hold, a NUL for one, is an error to a database.
HOOK_ID = re.compile(r"[a-z0-9-]{1,20}")


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
    try:
        origin = Origin.objects.filter(hook_id=hook_id).first() if HOOK_ID.fullmatch(hook_id) else None
        if origin is None:
            return answer(404, "Unknown webhook address.")
        accepted = ingest.accept(origin, whole_body(request), request.headers)
    except TooLarge:
        return answer(413, f"The body is larger than {settings.HOOK_MAX_BYTES} bytes.")
    except UnreadablePostError:
        return answer(400, "The body is incomplete. Send it again.")
    except SignatureMismatch as error:
        logger.info(
            "refused a webhook request with a wrong signature: %s%s", origin, f": {error}" if str(error) else ""
        )
        return answer(403, "The signature does not match.")
    except UnreadablePayload as error:
        logger.info("refused an unreadable webhook request: %s: %s", origin, error)
        return answer(400, str(error))
    except ingest.UnknownWebhook:
        return answer(404, "Unknown webhook address.")
    except ingest.NotConnected:
        return answer(410, "This webhook is not connected to any flow.")
    except UndecipherableSecret as error:
        return unavailable(request, str(error))
    except (DatabaseError, InterfaceError) as error:
        if not (reason := outage_reason(error)):
            raise
        return unavailable(request, reason)
    return answer(202, "Accepted.") if accepted.is_new else answer(200, "Already received.")


def unavailable(request: HttpRequest, reason: str) -> HttpResponse:
    """503, with one line in the log: in an outage there are many of them."""
    response = answer(503, "The event could not be stored. Send it again later.")
    # Django's own function: it marks the response as logged, and Django adds no line of its own.
    log_response("%s answered 503: %s", request.path, reason, response=response, request=request, logger=logger)
    return response


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
