"""What a thread offers to do, as schema.org actions: links (ViewAction), and buttons of its service (UpdateAction).

    offered   what readers get: a button's target is an address of ours, signed, in place of the integration's
    press     call the integration for somebody who pressed a button, signed with its application's client secret

An integration decides which address is called, so it is called as little as can be: by http(s), at no address of the
server's own network unless CALLS_TO permits it, without following redirects, for ten seconds, reading 64 kB.
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

logger = logging.getLogger(__name__)

TIMEOUT = 10  # seconds, for everything
LONGEST_ANSWER = 64 * 1024  # bytes that are read
LONGEST_MESSAGE = 500  # characters that are shown
TOKEN_LASTS = timedelta(seconds=30)
# At once, in one process: a press holds one of its threads until the service has answered, and the other half of them
# answer everybody else meanwhile.
MOST_CALLS = max(1, settings.THREADS // 2)
MOST_CALLS_TO_A_HOST = max(1, MOST_CALLS // 2)
RETRY_AFTER = TIMEOUT  # seconds: by then a call that is under way has ended


class TooManyCalls(Exception):
    """Nothing was sent, because too many calls are under way; the text says so to the person who pressed."""


class NoSuchAction(Exception):
    """The thread does not offer it, or offers something else by now."""


@dataclass(frozen=True)
class Outcome:
    """What came of a press, in words. `url`: who pressed it has to sign in there first."""

    done: bool
    message: str
    url: str = ""


def offered(thread: Thread) -> list[dict[str, Any]]:
    """The thread's actions for its readers. `flow.organization` is loaded."""
    return [_offered(thread, number, action) for number, action in enumerate(thread.actions)]


def _offered(thread: Thread, number: int, action: dict[str, Any]) -> dict[str, Any]:
    if action.get("@type") == "ViewAction" and not is_web_address(action.get("url")):
        return {name: value for name, value in action.items() if name != "url"}  # from before it was checked
    if not is_button(action):
        return action
    address = f"{thread.flow.url}/threads/{thread.pk}/actions/{number}?signature={signature(thread, number)}"
    return action | {"target": {"@type": "EntryPoint", "urlTemplate": address, "httpMethod": "POST"}}


def is_button(action: dict[str, Any]) -> bool:
    return action.get("@type") == "UpdateAction"


def signature(thread: Thread, number: int) -> str:
    """Of the action as it is now: whoever saw another one at this place does not press this one."""
    action = json.dumps(thread.actions[number], sort_keys=True)
    return salted_hmac("flowdock_server.actions", f"{thread.pk} {number} {action}", algorithm="sha256").hexdigest()


def press(thread: Thread, number: int, user: User, seen: str) -> Outcome:
    """Call the integration behind a button for `user`; `seen` is the signature of what they saw.

    `source.application` and `flow` are loaded. Never tried twice, since a press may not be one. Raises NoSuchAction,
    Refused and TooManyCalls.
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
    """Flowdock-Token: who pressed, until when it counts, and what was sent."""
    claims = {
        "sub": str(user.pk),
        "exp": timezone.now() + TOKEN_LASTS,
        "signature": hashlib.sha256(body).hexdigest(),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


class _Turns:
    """How many calls are under way, so that hosts that never answer hold up nobody else's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, int] = {}

    def take(self, host: str) -> None:
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


_turns = _Turns()


def _call(method: str, address: str, body: bytes, flowdock_token: str) -> Outcome:
    """In a thread of its own, since a host that sends a byte now and then is never silent for `requests`."""
    # Without the port: one machine answers on 65,535 of them.
    host = urlsplit(address).hostname or ""
    _turns.take(host)
    outcomes: queue.Queue[Outcome] = queue.Queue()

    def call() -> None:
        try:
            outcomes.put(_ask(method, address, body, flowdock_token))
        finally:
            _turns.leave(host)

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
        # ValueError: urllib3 has some for addresses that cannot be one.
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
    # No proxy of the machine's environment: it would resolve names itself. And no .netrc.
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
    """What a JSON answer says to the person, as plain text."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    message = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(message, str):
        return ""
    return "".join(letter for letter in message if letter.isprintable() or letter == "\n")[:LONGEST_MESSAGE]


def _challenge(header: str) -> str:
    """The address in `Flowdock-Token url=https://…`, with or without quotes; empty for any other challenge."""
    scheme, _, rest = header.strip().partition(" ")
    name, _, url = rest.strip().partition("=")
    url = url.strip().strip('"')
    if scheme.lower() != "flowdock-token" or name.strip().lower() != "url":
        return ""
    return url if is_web_address(url) else ""
