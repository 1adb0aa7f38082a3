"""The actions of a thread, in schema.org's format: links (ViewAction) and buttons of its service (UpdateAction).

    offered   the actions for readers: the target of a button is a signed URL of this server, not the service's
    press     call the service after somebody pressed a button, signed with the client secret of its application

The service chooses the URL that is called, so calls are restricted: http(s) only, no addresses in the server's own
network unless CALLS_TO allows them, no redirects, ten seconds, and 64 KB of the response.
"""

import hashlib
import json
import logging
import queue
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from requests_hardened import Config, HTTPSession

from flowdock_server.models import Thread, User
from flowdock_server.posting.drafts import Refused, is_web_address
from hosting import hostile_json

logger = logging.getLogger(__name__)

TIMEOUT = 10  # seconds for the whole call
LONGEST_ANSWER = 64 * 1024  # bytes that are read
LONGEST_MESSAGE = 500  # characters that are shown
TOKEN_LASTS = timedelta(seconds=30)
# Calls at a time in one process. A press occupies one of its threads until the service answers; the other half of the
# threads stays free for other requests.
MOST_CALLS = max(1, settings.THREADS // 2)
MOST_CALLS_TO_A_HOST = max(1, MOST_CALLS // 2)
RETRY_AFTER = TIMEOUT  # seconds after which a current call has ended


class TooManyCalls(Exception):
    """Nothing was sent, because too many calls are in progress. The message is for the person who pressed."""


class NoSuchAction(Exception):
    """The thread does not have this action, or its action has changed."""


@dataclass(frozen=True)
class Outcome:
    """The result of a press, with a message. `url` is where the person has to sign in first, if anywhere."""

    done: bool
    message: str
    url: str = ""


def offered(thread: Thread) -> list[dict[str, Any]]:
    """The thread's actions for its readers. Load `flow.organization` before."""
    return [_offered(thread, number, action) for number, action in enumerate(thread.actions)]


def _offered(thread: Thread, number: int, action: dict[str, Any]) -> dict[str, Any]:
    if action.get("@type") == "ViewAction" and not is_web_address(action.get("url")):
        return {name: value for name, value in action.items() if name != "url"}  # stored before URLs were checked
    if not is_button(action):
        return action
    address = f"{thread.flow.url}/threads/{thread.pk}/actions/{number}?signature={signature(thread, number)}"
    return action | {"target": {"@type": "EntryPoint", "urlTemplate": address, "httpMethod": "POST"}}


def is_button(action: dict[str, Any]) -> bool:
    return action.get("@type") == "UpdateAction"


def signature(thread: Thread, number: int) -> str:
    """The signature of the action as it is now, so that nobody presses another action than they saw."""
    action = json.dumps(thread.actions[number], sort_keys=True)
    return salted_hmac("flowdock_server.actions", f"{thread.pk} {number} {action}", algorithm="sha256").hexdigest()


def press(thread: Thread, number: int, user: User, seen: str) -> Outcome:
    """Call the service of a button for `user`; `seen` is the signature of the action that they saw.

    Load `source.application` and `flow` before. A call is never retried, because it may have had its effect. Raises
    NoSuchAction, Refused and TooManyCalls.
    """
    action = thread.actions[number] if 0 <= number < len(thread.actions) else {}
    if not is_button(action) or not constant_time_compare(seen, signature(thread, number)):
        raise NoSuchAction
    source = thread.source
    if thread.flow.disabled:
        raise Refused("This flow is archived, so its buttons do not work. Unarchive it first.")
    if source is None or source.removed_at:
        raise Refused("The source of this thread has been removed, so its buttons no longer work")
    secret = source.application.signing_secret
    if not secret:
        return Outcome(
            False,
            f"{source.application.name} needs a new client secret from its developer first.",
        )
    agent = {"@type": "Person", "name": user.name, "image": user.avatar}
    body = json.dumps(action | {"agent": agent}).encode()
    target = action.get("target")
    if not isinstance(target, dict) or not is_web_address(target.get("urlTemplate")):
        return Outcome(False, "This button has no valid address to call.")
    return _call(target.get("httpMethod", "POST"), target["urlTemplate"], body, token(user, body, secret))


def token(user: User, body: bytes, secret: str) -> str:
    """The Flowdock-Token: who pressed the button, when the token expires, and a digest of the body."""
    claims = {
        "sub": str(user.pk),
        "exp": timezone.now() + TOKEN_LASTS,
        "signature": hashlib.sha256(body).hexdigest(),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


class _CallsInProgress:
    """Counts the calls in progress, so that hosts that never answer do not block calls to others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, int] = {}

    def enter(self, host: str) -> None:
        """Raises TooManyCalls."""
        with self._lock:
            if self._hosts.get(host, 0) >= MOST_CALLS_TO_A_HOST:
                raise TooManyCalls(
                    f"Nothing was sent to {host}, because it has not answered earlier requests yet. "
                    f"Try again in {RETRY_AFTER} seconds."
                )
            if sum(self._hosts.values()) >= MOST_CALLS:
                raise TooManyCalls(
                    "Nothing was sent, because this server is waiting for the answers of other services. "
                    f"Try again in {RETRY_AFTER} seconds."
                )
            self._hosts[host] = self._hosts.get(host, 0) + 1

    def leave(self, host: str) -> None:
        with self._lock:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]


_calls = _CallsInProgress()


def _call(method: str, address: str, body: bytes, flowdock_token: str) -> Outcome:
    """Call in a separate thread, since `requests` has no timeout for a host that sends a byte now and then."""
    # Without the port, since one machine can answer on 65,535 of them.
    host = urlsplit(address).hostname or ""
    _calls.enter(host)
    outcomes: queue.Queue[Outcome] = queue.Queue()

    def call() -> None:
        try:
            outcomes.put(_ask(method, address, body, flowdock_token))
        finally:
            _calls.leave(host)

    threading.Thread(target=call, name="action", daemon=True).start()
    try:
        return outcomes.get(timeout=TIMEOUT)
    except queue.Empty:
        return Outcome(False, f"The service did not answer within {TIMEOUT} seconds. It may have done it anyway.")


def _ask(method: str, address: str, body: bytes, flowdock_token: str) -> Outcome:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Flowdock-Token": flowdock_token,
        "User-Agent": "Flowdock",
    }
    try:
        with _session() as session, session.request(method, address, data=body, headers=headers, stream=True) as answer:
            return _outcome(answer, _read(answer))
    except (requests.RequestException, OSError, ValueError) as error:
        # urllib3 raises ValueError for some invalid URLs.
        logger.info("An action at %s failed: %s", urlsplit(address).netloc, type(error).__name__)
        return Outcome(False, "The service could not be reached.")


def _session() -> HTTPSession:
    session = HTTPSession(
        Config(
            ip_filter_enable=settings.CALLS_TO != "internal",
            ip_filter_allow_loopback_ips=settings.CALLS_TO == "loopback",
            never_redirect=True,
            default_timeout=(5, TIMEOUT),
        )
    )
    # Without .netrc, and without a proxy of the environment, which would resolve names itself.
    session.trust_env = False
    return session


def _read(answer: requests.Response) -> bytes:
    body = b""
    until = time.monotonic() + TIMEOUT
    for chunk in answer.iter_content(8192):
        body += chunk
        if len(body) > LONGEST_ANSWER or time.monotonic() > until:
            break
    return body[:LONGEST_ANSWER]


def _outcome(answer: requests.Response, body: bytes) -> Outcome:
    message = _message(body)
    if 200 <= answer.status_code < 300:
        return Outcome(True, message)
    if answer.status_code == 401 and (url := _challenge(answer.headers.get("WWW-Authenticate", ""))):
        return Outcome(False, message or "The service does not know you yet. Sign in there, then press again.", url)
    if answer.is_redirect:
        return Outcome(False, "The service redirected the request. Redirects are not followed.")
    return Outcome(False, message or f"The service refused the request (status {answer.status_code}).")


def _message(body: bytes) -> str:
    """The message of a JSON response for the person, as plain text."""
    try:
        answer = hostile_json.loads(body)
    except (ValueError, RecursionError):
        return ""
    message = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(message, str):
        return ""
    return "".join(letter for letter in message if letter.isprintable() or letter == "\n")[:LONGEST_MESSAGE]


def _challenge(header: str) -> str:
    """The URL in `Flowdock-Token url=https://…`, with or without quotes; empty for any other challenge."""
    scheme, _, rest = header.strip().partition(" ")
    name, _, url = rest.strip().partition("=")
    url = url.strip().strip('"')
    if scheme.lower() != "flowdock-token" or name.strip().lower() != "url":
        return ""
    return url if is_web_address(url) else ""
