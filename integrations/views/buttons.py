from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from integrations.error_page import post_only_page

View = Callable[..., HttpResponse]


def button(view: View) -> View:
    """For a view that changes something and shows nothing: it accepts POST only, and explains that on a page."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return post_only_page(request)
        return view(request, *args, **kwargs)

    return wrapped
