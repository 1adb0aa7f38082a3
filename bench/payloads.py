"""What GitHub would send: an issue whose payload is as long as they usually are."""

from __future__ import annotations

import hmac
import json
import secrets
import uuid

BARE_HOOK_ID = "bench"  # of the bare view's one origin
PERSON = {"login": "lea", "html_url": "https://github.com/lea", "type": "User"}
# GitHub's payloads repeat addresses by the dozen: 10 KB is usual.
ADDRESSES = {
    f"{kind}_url": f"https://api.github.com/repos/octo/hello/{kind}{{/number}}" for kind in map(str, range(140))
}


def issue(number: int, title: str = "") -> bytes:
    return json.dumps(
        {
            "action": "opened",
            "issue": {
                "number": number,
                "title": title or f"Issue {number}",
                "html_url": f"https://github.com/octo/hello/issues/{number}",
                "state": "open",
                "body": "It *breaks* when I say `hello`.",
                "user": PERSON,
                "labels": [],
                "assignees": [],
            },
            "repository": {"full_name": "octo/hello", "html_url": "https://github.com/octo/hello", **ADDRESSES},
            "sender": PERSON,
        }
    ).encode()


def headers(body: bytes, secret: str, request_id: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": request_id,
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest(),
    }


class SignedRequests:
    """Whole HTTP requests as GitHub would send them, each about an issue of its own and with its own request ID."""

    FIRST = 100_000_000_000  # the number of the first issue: all of them have as many digits

    def __init__(self, path: str, host: str, secret: str) -> None:
        body = issue(self.FIRST)
        self._parts = body.split(str(self.FIRST).encode())
        self._secret = secret.encode()
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\n"
            "Content-Type: application/json\r\nX-GitHub-Event: issues\r\n"
            f"Content-Length: {len(body)}\r\nX-GitHub-Delivery: "
        ).encode()
        self._run = uuid.uuid4().hex[:20].encode()
        # So that the issues of two runs differ too.
        self.number = self.FIRST + secrets.randbelow(8 * self.FIRST)

    def next(self) -> bytes:
        self.number += 1
        number = b"%d" % self.number
        body = number.join(self._parts)
        signature = hmac.digest(self._secret, body, "sha256").hex().encode()
        return b"".join(
            (self._head, self._run, number, b"\r\nX-Hub-Signature-256: sha256=", signature, b"\r\n\r\n", body)
        )
