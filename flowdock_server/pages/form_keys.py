"""Forms that make something are obeyed once, however often their button is pressed."""

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import get_random_string

FIELD = "form_key"
REMEMBERED = 24 * 3600  # seconds


def form_key() -> str:
    """A new key, to be sent along with the form in the field `form_key`."""
    return get_random_string(22)


def first_time(request: HttpRequest) -> bool:
    """Whether this very form has not been sent before. Of several at once, one is the first."""
    key = request.POST.get(FIELD, "")[:64]
    return cache.add(f"form:{request.session.session_key}:{key}", 1, REMEMBERED)
