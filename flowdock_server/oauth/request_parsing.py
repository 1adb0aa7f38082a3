"""Requests as oauthlib reads them."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from oauth2_provider.oauth2_backends import OAuthLibCore

from flowdock_server.parsing import params


def _spaced(scope: str) -> str:
    """Scopes were joined by commas before January 2014, and some clients still do it."""
    return " ".join(scope.replace(",", " ").split())


class AuthorizeCore(OAuthLibCore):
    """The authorization request is its query, also when the person's answer to it is posted."""

    def _extract_params(self, request: HttpRequest) -> tuple[str, str, str, dict[str, Any]]:
        query = request.GET.copy()
        for name in query:
            value = str(query[name])
            if "\0" in value:
                query[name] = value.replace("\0", "\ufffd")  # PostgreSQL raises on it, wherever it is looked for
        if "scope" in query:
            query["scope"] = _spaced(str(query["scope"]))
        if not query.get("scope"):
            query.pop("scope", None)  # then the default ones are meant
        # Encoded anew: oauthlib raises on what it does not take for well encoded.
        return f"{request.path}?{query.urlencode()}", "GET", "", self.extract_headers(request)


class TokenCore(OAuthLibCore):
    """A token request may be a form, JSON or a query."""

    def _extract_params(self, request: HttpRequest) -> tuple[str, str, str, dict[str, Any]]:
        parameters = {name: value for name, value in params.read(request).items() if isinstance(value, str)}
        if "scope" in parameters:
            parameters["scope"] = _spaced(parameters["scope"])
        if not parameters.get("scope"):
            parameters.pop("scope", None)  # then the default ones are meant
        return request.path, "POST", urlencode(parameters), self.extract_headers(request)
