"""What GitHub would send: an issue whose payload is as long as they usually are."""

from __future__ import annotations

import hmac
import json

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
