"""Authentication and scopes.

Keys are tried in this order: flow token, access token (Bearer), Basic authentication. The first one that was sent
decides; if it is wrong, the request is refused, whatever else was sent. A view names scopes, one of which an access
token needs; Basic authentication has all of them.
"""

import base64
import binascii
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import authenticate
from django.db.models import Model
from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security.base import AuthBase
from oauth2_provider.models import get_access_token_model

from flowdock_server.models import ApiToken, Application, Flow, Source, User, compiled
from flowdock_server.models.flows import FlowQuerySet
from flowdock_server.oauth.scopes import SHOWN_WITH
from flowdock_server.parsing import params
from flowdock_server.secrets.tokens import digest

from .errors import Forbidden, Gone

# All of them have a unique digest.
_access_tokens = compiled.Lookup(
    lambda digest: get_access_token_model().objects.select_related("user", "application").filter(token_checksum=digest)
)
_api_tokens = compiled.Lookup(lambda digest: ApiToken.objects.select_related("user").filter(digest=digest))
_sources = compiled.Lookup(
    lambda digest: (
        Source.objects.select_related("flow__organization", "application", "creator")
        .filter(token_digest=digest)
        .order_by()
    )
)


@dataclass(frozen=True)
class Caller:
    """A person, with their own key or through an application; or a source, whose flow token has no scopes."""

    user: User | None = None
    application: Application | None = None
    scopes: frozenset[str] | None = None  # None: all
    source: Source | None = None
    key: Model | None = None  # the ApiToken or access token that was sent; deleting its row revokes it

    @property
    def flows(self) -> FlowQuerySet:
        """The flows that the person is a member of; for a source, its flow."""
        if self.source:
            return Flow.objects.filter(pk=self.source.flow_id)
        return Flow.objects.open_to(self.user) if self.user else Flow.objects.none()

    def may(self, *scopes: str) -> bool:
        """Whether the key has one of `scopes`."""
        return self.scopes is None or not self.scopes.isdisjoint(scopes)

    def sees(self, field: str) -> bool:
        """Whether responses to this caller include `field`, one of SHOWN_WITH."""
        return self.may(*SHOWN_WITH[field])

    @property
    def rate_limit_key(self) -> str:
        """Identifies the key for the rate limit, however it was sent."""
        shown = self.key or self.source or self.user
        return f"{type(shown).__name__} {shown.pk if shown else ''}"

    def sees_email_of(self, user: User) -> bool:
        return self.sees("email") or (user == self.user and self.may("profile"))


@dataclass(frozen=True)
class Person(Caller):
    """A caller who is a person."""

    user: User = field(kw_only=True)


@dataclass(frozen=True)
class SourceCaller(Caller):
    """A caller that is a source."""

    source: Source = field(kw_only=True)


class ApiRequest(HttpRequest):
    """A request whose key was accepted."""

    auth: Caller


class PersonRequest(ApiRequest):
    """A request with the key of a person."""

    auth: Person


class SourceRequest(ApiRequest):
    """A request with a flow token."""

    auth: SourceCaller


class Key(AuthBase):
    """One way to authenticate, for views that require one of `scopes`; without scopes, any token is accepted."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes
        super().__init__()

    def __call__(self, request: HttpRequest) -> Caller | None:
        request.verified_caller = ""  # type: ignore[attr-defined]  # for the rate limit; `find` may raise
        caller = self.find(request)
        if caller:
            request.verified_caller = caller.rate_limit_key  # type: ignore[attr-defined]
        if caller and self.scopes and not caller.may(*self.scopes):
            raise Forbidden(f"This request requires the scope {' or '.join(self.scopes)}")
        return caller

    @abstractmethod
    def find(self, request: HttpRequest) -> Caller | None:
        """The caller, or None if no key of this kind was sent.

        Raises AuthenticationError (401) for a wrong key, and Gone (410) for the flow token of a removed source.
        """


class BearerToken(Key):
    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = (
        "An OAuth access token, in the header `Authorization: Bearer …` or as parameter `access_token`"
    )

    def find(self, request: HttpRequest) -> Caller | None:
        kind, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        if kind.lower() != "bearer":
            token = params.of(request).get("access_token", "")
        if not token:
            return None
        found = next(iter(_access_tokens(digest(str(token).strip()))), None)
        if found is None or found.is_expired() or found.user is None or not found.user.is_active:
            raise AuthenticationError
        scopes = frozenset(found.scope.split())
        return Person(user=found.user, application=found.application, scopes=scopes, key=found)


class Basic(Key):
    openapi_type = "http"
    openapi_scheme = "basic"
    openapi_description = (
        "A personal API token as the user name (the password is ignored), or an e-mail address and a password"
    )

    def find(self, request: HttpRequest) -> Caller | None:
        kind, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, password = _decoded(base64.b64decode(credentials.strip(), validate=True)).partition(":")
        except (binascii.Error, ValueError) as error:
            raise AuthenticationError from error
        if "\0" in name:  # PostgreSQL raises an error for it
            raise AuthenticationError
        token = None
        if "@" in name:
            user = authenticate(request, username=name, password=password)
        else:
            token = next(iter(_api_tokens(digest(name))), None)
            user = token.user if token and token.user.is_active else None
        if user is None:
            raise AuthenticationError
        return Person(user=user, key=token)


def _decoded(credentials: bytes) -> str:
    """Decode UTF-8, or Latin-1, in which Python's requests and others send a password."""
    try:
        return credentials.decode()
    except UnicodeDecodeError:
        return credentials.decode("latin-1")


class FlowToken(Key):
    openapi_type = "apiKey"
    openapi_in = "query"
    openapi_name = "flow_token"
    openapi_description = "The secret of a source, in the query, a form or JSON"

    parameters: tuple[str, ...] = ("flow_token",)

    def find(self, request: HttpRequest) -> Caller | None:
        parameters = params.of(request)
        token = next((parameters[name] for name in self.parameters if parameters.get(name)), None)
        if token is None:
            return None
        source = next(iter(_sources(digest(str(token)))), None)
        if source is None:
            raise AuthenticationError
        if source.removed_at:
            raise Gone
        return SourceCaller(source=source, application=source.application, scopes=frozenset())


class ActivityToken(FlowToken):
    """A flow token that may also be called `token`, as in the API of October 2014."""

    parameters = ("flow_token", "token")


def person(*scopes: str) -> list[Any]:
    """Keys of a person: their own, or an access token with one of `scopes`."""
    return [BearerToken(*scopes), Basic(*scopes)]


def person_or_source(*scopes: str) -> list[Any]:
    """Keys of a person, and flow tokens."""
    return [FlowToken(), *person(*scopes)]
