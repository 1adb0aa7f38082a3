"""Signing in with Flowdock: OAuth 2.0, the authorization code grant.

Source: Flowdock's api-docs, oauth.md and authentication.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.urls import reverse
from social_core.backends.oauth import BaseOAuth2

from integrations.fields import UndecipherableSecret, decrypt, encrypt

from .client import Flowdock

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase

TOKEN_KEY = "flowdock_token"  # noqa: S105  a session key, not a token
NEXT_KEY = "next"
# Each unfinished sign-in takes about 300 bytes of the session, which is a cookie of 4 KB at most.
UNFINISHED_SIGN_INS = 4


class FlowdockOAuth2(BaseOAuth2):
    name = "flowdock"
    title = "Flowdock"
    ID_KEY = "id"
    DEFAULT_SCOPE = ["integration", "profile"]  # all that set-up, filters and removal need
    REDIRECT_STATE = False  # Flowdock accepts only the exact redirect_uri that was registered
    STATE_LIFETIME = 600  # seconds

    def authorization_url(self) -> str:
        return f"{settings.FLOWDOCK_WEB_URL}/oauth/authorize"

    def access_token_url(self) -> str:
        return f"{settings.FLOWDOCK_API_URL}/oauth/token"

    def get_scope(self) -> list[str]:
        """The scopes to ask for. Only pages that list the person's flows need `flow`, and pass `flows`."""
        scope: list[str] = super().get_scope()
        return ["flow", *scope] if self.data.get("flows") else scope

    def get_redirect_uri(self, state: str | None = None) -> str:
        """The one registered address, whatever host name this request used."""
        return f"{settings.BRIDGE_URL}{reverse('social:complete', args=[self.name])}"

    def get_or_create_state(self) -> str | None:
        """A state with its own "next", so that each of two tabs returns from Flowdock to its own page."""
        state = super().get_or_create_state()
        transaction = self.strategy.session_get(self.transaction_key(state))
        self.strategy.session_set(
            self.transaction_key(state), {**transaction, NEXT_KEY: self.strategy.session_pop(NEXT_KEY) or ""}
        )
        return str(state)

    def _prune_transactions(self, now: int, lifetime: int) -> dict[str, int]:
        active = super()._prune_transactions(now, lifetime)
        latest = sorted(active, key=lambda state: active[state])[1 - UNFINISHED_SIGN_INS :]
        for state in active.keys() - set(latest):
            self.strategy.session_pop(self.transaction_key(state))
        return {state: active[state] for state in latest}

    def requested_page(self) -> str:
        """The "next" address of this callback's state, or empty. It has not been checked yet."""
        state = self.get_request_state()
        transaction = self.strategy.session_get(self.transaction_key(state)) if isinstance(state, str) else None
        return str(transaction.get(NEXT_KEY, "")) if isinstance(transaction, Mapping) else ""

    def validate_state(self) -> str | None:
        requested_page = self.requested_page()
        state = super().validate_state()
        self.strategy.session_set(NEXT_KEY, requested_page)
        return str(state)

    def request_access_token(self, url: str, *args: Any, data: Mapping[str, str], **kwargs: Any) -> dict[str, Any]:
        """The answer to the token request, by our own client: Flowdock may answer with a form."""
        with Flowdock() as flowdock:
            answer = dict(flowdock.exchange_code(url, data))
        self.process_error(answer, stage="token_exchange")
        return answer

    def user_data(self, access_token: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        with Flowdock(access_token) as flowdock:
            person = flowdock.user()
        return {"id": person.id, "name": person.name, "nick": person.nick, "email": person.email}

    def get_user_details(self, response: Mapping[str, Any]) -> dict[str, str]:
        """Flowdock has one name for each person, which cannot be split into first and last name reliably."""
        return {
            "username": response["nick"] or f"flowdock-{response['id']}",
            "email": response["email"] if len(response["email"]) <= 254 else "",
            "first_name": response["name"][:150],
        }

    def extra_data(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {}  # social-auth would store the access token; ours lives in the session only


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`issued_at` is when the person came back from Flowdock, in seconds since 1970."""

    token: str
    issued_at: int


def remember_access_token(strategy: Any, response: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
    """The last step of the pipeline: store the encrypted access token in the session, with its expiry time."""
    # Signs out whoever was signed in before. Otherwise django.contrib.auth would empty the session.
    for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY):
        strategy.session_pop(key)
    now = int(time.time())
    strategy.session_set(TOKEN_KEY, [encrypt(response["access_token"]), now, _ends_at(now, response.get("expires_in"))])


def _ends_at(now: int, lifetime: object) -> int:
    """When the token expires, in seconds since 1970; 0 if Flowdock does not say, then it expires with the first 401."""
    text = str(lifetime)
    return now + int(text) if text.isascii() and text.isdigit() else 0


def access_token(session: SessionBase) -> AccessToken | None:
    """The token that `remember_access_token` stored, or None if there is none or it has expired."""
    try:
        sealed, issued_at, ends_at = session.get(TOKEN_KEY, ("", 0, 0))
        token = decrypt(sealed)
    except (UndecipherableSecret, TypeError, ValueError):
        return None
    if not token or (ends_at and time.time() >= ends_at):
        return None
    return AccessToken(token, issued_at)


def forget_access_token(session: SessionBase) -> None:
    session.pop(TOKEN_KEY, None)
