"""The error page as pages of the bridge and of your own apps show it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers


@dataclass(frozen=True, slots=True)
class NextStep:
    """A link on an error page to what the reader can do."""

    title: str
    url: str


HOME = NextStep("Open your integrations", "/")


def error_page(
    request: HttpRequest,
    status: HTTPStatus,
    title: str,
    text: str,
    *next_steps: NextStep,
    hint: str = "",
    disconnected: tuple[str, str] | None = None,
) -> HttpResponse:
    """An error page. `disconnected` names two parties; a broken bridge is drawn between them."""
    response = render(
        request,
        "integrations/error.html",
        {
            "title": title,
            "text": text,
            "next_steps": next_steps,
            "hint": hint,
            "disconnected": disconnected,
            "status": status,
        },
        status=status,
    )
    add_never_cache_headers(response)
    return response


def post_only_page(request: HttpRequest, next_step: NextStep = HOME) -> HttpResponse:
    """The answer to a request that is not a POST, from a view that changes something and shows nothing."""
    response = error_page(
        request,
        HTTPStatus.METHOD_NOT_ALLOWED,
        "This page only accepts form submissions",
        "Its address belongs to a button and cannot be opened directly. Nothing was changed.",
        next_step,
    )
    response["Allow"] = "POST"
    return response
