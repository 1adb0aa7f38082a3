"""The sender: a thread that speaks HTTP to Flowdock over many connections, and does not use the database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.utils import timezone

from integrations.activity import Activity, InvalidActivity
from integrations.fields import UndecipherableSecret
from integrations.flowdock.answers import Posted
from integrations.flowdock.client import Flowdock
from integrations.flowdock.errors import (
    ActivityRejected,
    FlowdockError,
    FlowdockUnavailable,
    FlowdockUnreachable,
    FlowNotAccessible,
    SourceGone,
    TokenRefused,
)
from integrations.flowdock.posting import Posts, write_body

from .attempts import KEY_MISSING, NOT_ALLOWED, TOKEN_REFUSED, Attempt, Outcome, Posting
from .claims import Claim
from .traffic import Traffic

logger = logging.getLogger(__name__)

MAX_SECONDS = 1.0  # after these a claim returns the rest of its deliveries, since other threads wait for its sender
LOOK_INTERVAL = 0.1  # seconds until waiting claims are looked at again: a slow post may have freed a sender


class Sender:
    """Posts the claims that `traffic` allows, and passes each to `done` when nothing more of it is posted.

    `done` is called in the sender's thread: with a claim, or with the error that has ended the thread.
    """

    def __init__(self, traffic: Traffic, done: Callable[[Claim | Exception], None]) -> None:
        self.traffic = traffic
        self.done = done
        self._posts: Posts[_Post] = Posts(2 * traffic.senders)
        self._thread: threading.Thread | None = None
        self._has_ended = threading.Event()

    def wake(self) -> None:
        """Look at the traffic now: there are new claims, or it is stopping."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
            self._thread.start()
        elif not self._has_ended.is_set():
            self._posts.wake()

    def close(self) -> None:
        """Wait until what is being posted has ended. The traffic must be stopped."""
        if self._thread is not None:
            self._posts.wake()
            self._thread.join()
        self._posts.close()

    def _run(self) -> None:
        try:
            while len(self._posts) or not self.traffic.is_stopping:
                while claim := self.traffic.take():
                    self._post(_Post(claim))
                for claim in self.traffic.returned():
                    self.done(claim)
                for post, result in self._posts.wait(LOOK_INTERVAL if self.traffic.waiting else 1.0):
                    self._end(post, result)
            for claim in self.traffic.returned():
                self.done(claim)
        except Exception as error:
            self._has_ended.set()
            self.done(error)
            raise

    def _post(self, post: _Post) -> None:
        """Post the next delivery of the claim, and those after it that fail before they are posted."""
        while True:
            delivery = post.start()
            try:
                flow_token, body = read(delivery)
            except UndecipherableSecret:
                attempt = post.attempt(Outcome.REFUSED, KEY_MISSING)
            except InvalidActivity as error:
                attempt = post.attempt(Outcome.FAILED, f"the stored activity cannot be posted: {error}")
            except Exception as error:
                # A bug of ours. It would happen again, so the delivery is shown as failed and its thread goes on.
                logger.error("a message cannot be posted", exc_info=error)
                attempt = post.attempt(Outcome.FAILED, f"an error in the bridge: {type(error).__name__}")
            else:
                self._posts.start(post, flow_token, body)
                return
            if not self._goes_on(post, attempt):
                return

    def _end(self, post: _Post, result: Posted | FlowdockError) -> None:
        if self._goes_on(post, attempt_of(post, result)):
            self._post(post)

    def _goes_on(self, post: _Post, attempt: Attempt) -> bool:
        """Keep the attempt; whether the next delivery of the claim is to be posted now."""
        claim = post.claim
        claim.attempts.append(attempt)
        self.traffic.learn(attempt)
        if post.has_more(attempt) and not self.traffic.is_stopping:
            self.traffic.go_on(claim)
            return True
        self.traffic.end(claim)
        self.done(claim)
        return False


class _Post:
    """A claim whose deliveries are posted, one after the other."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.began = self.started = time.monotonic()
        self.at = timezone.now()

    def start(self) -> Posting:
        self.at, self.started = timezone.now(), time.monotonic()
        return self.claim.deliveries[len(self.claim.attempts)]

    def attempt(self, outcome: Outcome, message: str, **more: Any) -> Attempt:
        """The attempt at the delivery that was started last."""
        delivery = self.claim.deliveries[len(self.claim.attempts)]
        ms = round((time.monotonic() - self.started) * 1000)
        return Attempt(delivery, outcome, message, self.at, ms=ms, **more)

    def has_more(self, attempt: Attempt) -> bool:
        """Until one is not delivered, for MAX_SECONDS, and while the lease is safe."""
        if attempt.outcome not in {Outcome.DELIVERED, Outcome.FAILED}:
            return False
        now = time.monotonic()
        if len(self.claim.attempts) == len(self.claim.deliveries) or now - self.began > MAX_SECONDS:
            return False
        return self.claim.is_safe(now)


def read(delivery: Posting) -> tuple[str, bytes]:
    """The flow_token and the body to post. Raises UndecipherableSecret and InvalidActivity."""
    flow_token = delivery.integration.flow_token
    if delivery.activity is None:
        raise InvalidActivity("none is stored")
    return flow_token, write_body(flow_token, Activity.from_json(delivery.activity), delivery.uuid)


def attempt_of(post: _Post, result: Posted | FlowdockError) -> Attempt:
    """What Flowdock's answer means for the delivery."""
    match result:
        case Posted():
            return post.attempt(Outcome.DELIVERED, "posted", status=result.status, flowdock_thread_id=result.thread_id)
        case ActivityRejected():
            return post.attempt(Outcome.FAILED, f"Flowdock refused it: {result}", status=result.status)
        case SourceGone():
            return post.attempt(Outcome.SOURCE_REMOVED, "the source was removed in Flowdock", status=result.status)
        case TokenRefused():
            return post.attempt(Outcome.REFUSED, TOKEN_REFUSED, status=result.status)
        case FlowNotAccessible():
            return post.attempt(Outcome.REFUSED, NOT_ALLOWED, status=result.status)
    is_limited = result.status == HTTPStatus.TOO_MANY_REQUESTS
    return post.attempt(
        Outcome.RETRY,
        "Flowdock limits the rate of requests" if is_limited else str(result),
        status=result.status,
        retry_after=result.retry_after if isinstance(result, FlowdockUnavailable) else None,
        is_unreachable=isinstance(result, FlowdockUnreachable),
    )


def report_problem(flowdock: Flowdock, flow_token: str, problem: str) -> None:
    """Show `problem` beside the integration's source in Flowdock; the empty text removes it. Failing is logged only."""
    try:
        flowdock.update_source(flow_token, error_message=problem)
    except FlowdockError as error:
        logger.info("a problem could not be reported to Flowdock: %s", error)
