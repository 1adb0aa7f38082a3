"""Posting activities: many at the same time in one thread, over connections that are kept open.

libcurl takes a twentieth of the CPU time that `requests` takes for a post. All other calls to Flowdock are rare, and
use `requests` (see `client`).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import time
from typing import Any, Generic, TypeVar
from uuid import UUID

import certifi
import pycurl
from django.conf import settings

from integrations.activity import Activity

from . import payload
from .answers import MAX_ANSWER_BYTES, Answer, Posted, read_posted, refused
from .errors import ActivityRejected, FlowdockError, FlowdockUnavailable, FlowdockUnreachable

HEADERS = [
    "Accept: application/json",
    "Content-Type: application/json",
    "User-Agent: Flowdock-Bridge",
    # Without it, Flowdock may answer before the message has an id, and the log could not link to its thread.
    "X-flowdock-wait-for-message: true",
    "Expect:",  # curl would ask before it sends a large body, and wait for the answer
]
MAX_SECONDS_CONNECTED = 300  # then a connection is made again, to where the host name leads by then

Key = TypeVar("Key")


def write_body(flow_token: str, activity: Activity, uuid: UUID) -> bytes:
    """The body that posts the activity to the flow that `flow_token` opens."""
    return json.dumps(payload.write(activity, flow_token=flow_token, uuid=uuid)).encode()


class Posts(Generic[Key]):
    """Posts that are under way, each with a key of the caller's. Only `wake` may be called by other threads.

    A post ends `timeout` seconds after its start at the latest, however slowly its answer arrives. It speaks to
    FLOWDOCK_API_URL only: no redirect is followed, no proxy of the machine is used, and no cookie is kept.
    """

    def __init__(self, connections: int, timeout: float | None = None) -> None:
        self.timeout = settings.FLOWDOCK_TIMEOUT if timeout is None else timeout
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe()
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._timer: float | None = None  # time.monotonic()
        self._calls: dict[pycurl.Curl, _Call[Key]] = {}
        self._idle: list[_Call[Key]] = []

    def __len__(self) -> int:
        return len(self._calls)

    def close(self) -> None:
        """Close all connections; posts under way are not finished."""
        for call in [*self._calls.values(), *self._idle]:
            if call.handle in self._calls:
                self._multi.remove_handle(call.handle)
            call.handle.close()
        self._calls.clear()
        self._idle.clear()
        self._multi.close()
        self._selector.close()
        os.close(self._woken)
        os.close(self._wake)

    def wake(self) -> None:
        """Have `wait` return now. Call it before `close` only."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes it as well
            os.write(self._wake, b"!")

    def start(self, key: Key, flow_token: str, body: bytes) -> None:
        """Start to post what `write_body` returned. The same uuid again is the same message."""
        call = self._idle.pop() if self._idle else _Call(self.timeout)
        call.begin(key, flow_token, body)
        self._calls[call.handle] = call
        self._multi.add_handle(call.handle)

    def wait(self, seconds: float) -> list[tuple[Key, Posted | FlowdockError]]:
        """Wait until a post has ended or `wake` is called, for `seconds` at most; returns the posts that have ended.

        The errors: FlowdockUnavailable if there is no usable answer, ActivityRejected on 400, 413 and 422, TokenRefused
        on 401, FlowNotAccessible on 403 and 404, SourceGone on 410.
        """
        if self._timer is not None:
            seconds = min(seconds, self._timer - time.monotonic())
        for selected, events in self._selector.select(max(seconds, 0.0)):
            if selected.fd == self._woken:
                os.read(self._woken, 4096)
                continue
            ready = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
            ready |= pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0
            self._multi.socket_action(selected.fd, ready)
        if self._timer is not None and self._timer <= time.monotonic():
            self._timer = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._ended()

    def _ended(self) -> list[tuple[Key, Posted | FlowdockError]]:
        ended: list[tuple[Key, Posted | FlowdockError]] = []
        queued = 1
        while queued:
            queued, answered, failed = self._multi.info_read()
            for handle, code in [(each, pycurl.E_OK) for each in answered] + [each[:2] for each in failed]:
                self._multi.remove_handle(handle)
                call = self._calls.pop(handle)
                ended.append((call.key, call.result(code)))
                self._idle.append(call)
        return ended

    # What libcurl asks for

    def _watch(self, what: int, descriptor: int, multi: Any, data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            return
        events = selectors.EVENT_READ if what & pycurl.POLL_IN else 0
        events |= selectors.EVENT_WRITE if what & pycurl.POLL_OUT else 0
        try:
            self._selector.modify(descriptor, events)
        except KeyError:
            self._selector.register(descriptor, events)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


class _Call(Generic[Key]):
    """A handle of libcurl, which is used for one post after another."""

    key: Key

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.flow_token = ""
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        self._size = 0
        self.handle = handle = pycurl.Curl()
        handle.setopt(pycurl.URL, f"{settings.FLOWDOCK_API_URL}{payload.path()}")
        handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        handle.setopt(pycurl.HTTPHEADER, HEADERS)
        handle.setopt(pycurl.PROXY, "")  # else the machine's settings would decide where tokens are sent
        handle.setopt(pycurl.FOLLOWLOCATION, False)
        handle.setopt(pycurl.NOSIGNAL, True)  # libcurl's time limits must not interrupt other threads
        handle.setopt(pycurl.TIMEOUT_MS, max(round(timeout * 1000), 1))
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(round(timeout * 1000), 1))
        handle.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
        handle.setopt(pycurl.MAXLIFETIME_CONN, MAX_SECONDS_CONNECTED)
        handle.setopt(pycurl.CAINFO, settings.FLOWDOCK_CA_FILE or certifi.where())
        handle.setopt(pycurl.SSL_VERIFYPEER, True)
        handle.setopt(pycurl.SSL_VERIFYHOST, 2)
        handle.setopt(pycurl.WRITEFUNCTION, self._keep)
        handle.setopt(pycurl.HEADERFUNCTION, self._head.append)

    def begin(self, key: Key, flow_token: str, body: bytes) -> None:
        self.key, self.flow_token = key, flow_token
        self._head.clear()
        self._body.clear()
        self._size = 0
        self.handle.setopt(pycurl.POSTFIELDS, body)

    def _keep(self, chunk: bytes) -> int | None:
        self._size += len(chunk)
        if self._size > MAX_ANSWER_BYTES:
            return -1  # not all of it was taken, so libcurl ends the call
        self._body.append(chunk)
        return None

    def result(self, code: int) -> Posted | FlowdockError:
        """What came of the call, which libcurl has ended with this code."""
        if code != pycurl.E_OK:
            return self._error(code)
        status = self.handle.getinfo(pycurl.RESPONSE_CODE)
        if 200 <= status < 300:
            return read_posted(Answer(status, {}, b"".join(self._body)))
        return refused(Answer(status, self._headers(), b"".join(self._body)), ActivityRejected, [self.flow_token])

    def _headers(self) -> dict[str, str]:
        """The headers of the last answer: interim ones (1xx) come before it."""
        headers: dict[str, str] = {}
        for line in self._head:
            if line.startswith(b"HTTP/"):
                headers.clear()
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.title()] = value.strip()
        return headers

    def _error(self, code: int) -> FlowdockUnavailable:
        match code:
            case pycurl.E_PEER_FAILED_VERIFICATION:
                return FlowdockUnreachable("Flowdock's certificate could not be verified")
            case pycurl.E_OPERATION_TIMEDOUT if not self.handle.getinfo(pycurl.REQUEST_SIZE):
                return FlowdockUnreachable(f"Flowdock could not be reached within {self.timeout:g} s")
            case pycurl.E_OPERATION_TIMEDOUT:
                return FlowdockUnavailable(f"Flowdock did not answer within {self.timeout:g} s")
            case pycurl.E_COULDNT_RESOLVE_HOST | pycurl.E_COULDNT_CONNECT | pycurl.E_SSL_CONNECT_ERROR:
                return FlowdockUnreachable("Flowdock could not be reached")
            case pycurl.E_PARTIAL_FILE | pycurl.E_BAD_CONTENT_ENCODING:
                return FlowdockUnavailable("Flowdock's answer was incomplete")
            case pycurl.E_WRITE_ERROR:
                return FlowdockUnavailable(f"Flowdock answered with more than {MAX_ANSWER_BYTES} B")
            case (
                pycurl.E_GOT_NOTHING
                | pycurl.E_RECV_ERROR
                | pycurl.E_SEND_ERROR
                | pycurl.E_UNSUPPORTED_PROTOCOL
                | pycurl.E_FTP_WEIRD_SERVER_REPLY
            ):
                return FlowdockUnavailable("Flowdock closed the connection, or its answer was not HTTP")
        # Without curl's own words, which may contain what was sent.
        return FlowdockUnavailable(f"Flowdock could not be called (curl's error {code})")
