import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_plus

from django.contrib.auth import authenticate
from django.http import HttpRequest
from oauth2_provider.models import AbstractRefreshToken, get_grant_model, get_refresh_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
)

from flowdock_server.models import Application, CodeUsed, UsedCode
from flowdock_server.people.sign_in import Guesses

ADDRESS_HEADERS = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR")
GRANTS = ("authorization_code", "password", "refresh_token")


class FlowdockValidator(OAuth2Validator):
    """The toolkit's rules with Flowdock's: redirect URIs must match exactly, there are three grant types, and only
    applications with the scope `offline_access` get a refresh token."""

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        return redirect_uri in request.client.redirect_uris.split()

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        if response_type != "code":
            raise UnsupportedResponseTypeError(request=request)
        return True

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        if grant_type not in GRANTS:
            raise UnsupportedGrantTypeError(request=request)
        return True

    def validate_user(
        self, username: str, password: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        # As in the toolkit, but with the client's address, which the limit for wrong passwords needs.
        user = authenticate(_with_client_address(request), username=username, password=password)
        if user is None:
            return False
        request.user = user
        return True

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Whether the client secret is correct. Raises TooManyAttempts after too many wrong ones."""
        guesses = Guesses(f"client {self._client_id(request)}", _with_client_address(request), counts_elsewhere=False)
        guesses.check()
        is_authentic: bool = super().authenticate_client(request, *args, **kwargs)
        if is_authentic:
            guesses.succeeded()
        else:
            guesses.failed()
        return is_authentic

    def _client_id(self, request: Request) -> str:
        """The client id from the header or the parameters. It is not verified."""
        try:
            sent = base64.b64decode(self._extract_basic_auth(request) or "").decode()
        except ValueError:
            return ""
        return unquote_plus(sent.partition(":")[0]) or getattr(request, "client_id", None) or ""

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        if super().validate_code(client_id, code, client, request, *args, **kwargs):
            return True
        UsedCode.revoke(code, client)
        return False

    def get_code_challenge(self, code: str, request: Request) -> Any:
        with _used_once(code, request.client):
            return super().get_code_challenge(code, request)

    def get_code_challenge_method(self, code: str, request: Request) -> Any:
        with _used_once(code, request.client):
            return super().get_code_challenge_method(code, request)

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str | None, client: Any, *args: Any, **kwargs: Any
    ) -> bool:
        # An application has only one redirect URI, to which the code was sent, so it can be left out here.
        with _used_once(code, client):
            is_right = not redirect_uri or super().confirm_redirect_uri(
                client_id, code, redirect_uri, client, *args, **kwargs
            )
        if not is_right:
            # RFC 6749, section 5.2: this is invalid_grant. oauthlib would answer invalid_request.
            raise InvalidGrantError("The redirect_uri is not the one that the code was sent to.")
        return True

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        # Outside of the toolkit's transaction, so that a rollback does not undo the revocation.
        with _used_once(request.code, request.client):
            super().save_bearer_token(token, request, *args, **kwargs)

    def _save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        # `token` is also the response, so a refresh token that is removed here is neither stored nor sent.
        if "offline_access" not in token["scope"].split():
            token.pop("refresh_token", None)
        used = getattr(request, "refresh_token_instance", None)
        if used and not _lock_unused(used):
            # Two requests used the same refresh token at the same time. The toolkit would answer the second one with
            # the tokens of the first, but only their digests are stored.
            raise InvalidGrantError(request=request)
        super()._save_bearer_token(token, request, *args, **kwargs)
        if request.grant_type == "authorization_code":
            UsedCode.record(request.code, request.client, token["access_token"])


@contextmanager
def _used_once(code: str, client: Application) -> Iterator[None]:
    """Turn the second use of `code` into InvalidGrantError, and revoke the tokens that it was exchanged for."""
    try:
        yield
    except (CodeUsed, get_grant_model().DoesNotExist) as error:
        UsedCode.revoke(code, client)
        raise InvalidGrantError from error


def _with_client_address(request: Request) -> HttpRequest:
    """A Django request from the same client address."""
    http_request = HttpRequest()
    http_request.META = {name: request.headers[name] for name in ADDRESS_HEADERS if name in request.headers}
    return http_request


def _lock_unused(token: AbstractRefreshToken) -> bool:
    """Whether `token` has not been used yet. Nobody else can use it until the transaction ends."""
    unused = get_refresh_token_model().objects.select_for_update().filter(pk=token.pk, revoked=None)
    return unused.first() is not None
