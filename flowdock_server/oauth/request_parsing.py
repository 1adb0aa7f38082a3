"""Converts requests for oauthlib."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from oauth2_provider.oauth2_backends import OAuthLibCore

from flowdock_server.parsing import params


def _spaced(scope: str) -> str:
    """Separate scopes by spaces. Before January 2014 they were separated by commas, and some clients still do that."""
    return " ".join(scope.replace(",", " ").split())


class AuthorizeCore(OAuthLibCore):
    """Reads an authorization request from the query, also when the consent form is posted."""

    def _extract_params(self, request: HttpRequest) -> tuple[str, str, str, dict[str, Any]]:
        query = request.GET.copy()
        for name in query:
            value = str(query[name])
            if "\0" in value:
                query[name] = value.replace("\0", "\ufffd")  # PostgreSQL raises an error for NUL
        if "scope" in query:
            query["scope"] = _spaced(str(query["scope"]))
        if not query.get("scope"):
            query.pop("scope", None)  # the default scopes apply
        # Encoded again, since oauthlib raises an error for some encodings.
        return f"{request.path}?{query.urlencode()}", "GET", "", self.extract_headers(request)


class TokenCore(OAuthLibCore):
    """Reads a token request from a form, JSON or the query."""

    def _extract_params(self, request: HttpRequest) -> tuple[str, str, str, dict[str, Any]]:
        parameters = {name: value for name, value in params.read(request).items() if isinstance(value, str)}
        if "scope" in parameters:
            parameters["scope"] = _spaced(parameters["scope"])
        if not parameters.get("scope"):
            parameters.pop("scope", None)  # the default scopes apply
        return request.path, "POST", urlencode(parameters), self.extract_headers(request)
