"""Keys of forms that create something, so that pressing a button twice creates one thing."""

import hashlib

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import get_random_string

FIELD = "form_key"
REMEMBERED = 24 * 3600  # seconds


def form_key() -> str:
    """Return a new key for the form's hidden field `form_key`."""
    return get_random_string(22)


def uuid_of(request: HttpRequest, content: str) -> str:
    """What identifies a message that the form posts: pressing its button twice posts one message.

    The same form with other content, as after going back, posts another one.
    """
    return hashlib.sha256(f"{_key(request)}:{content}".encode()).hexdigest()


def first_time(request: HttpRequest) -> bool:
    """Whether this form is sent for the first time. Of several requests at once, one is the first."""
    return cache.add(f"form:{request.session.session_key}:{_key(request)}", 1, REMEMBERED)


def _key(request: HttpRequest) -> str:
    return request.POST.get(FIELD, "")[:64]
