from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse

from . import errors

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def button(view: View[P]) -> View[P]:
    """A view that changes something and shows nothing: POST only, and to others a page that says so."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method != "POST":
            return errors.wrong_method(request, "POST")
        return view(request, *args, **kwargs)

    return wrapped
