"""The little of GitHub that the pages' tests need."""

import json


def issue_opened(label: str) -> bytes:
    return json.dumps(
        {
            "action": "opened",
            "issue": {
                "number": 7,
                "title": "Emoji break the export",
                "html_url": "https://github.com/octo/hello/issues/7",
                "state": "open",
                "body": "",
                "user": {"login": "lea-cohen", "type": "User", "html_url": "https://github.com/lea-cohen"},
                "labels": [{"name": label}],
                "assignees": [],
            },
            "repository": {
                "full_name": "octo/hello",
                "html_url": "https://github.com/octo/hello",
                "default_branch": "main",
            },
            "sender": {"login": "lea-cohen", "type": "User", "html_url": "https://github.com/lea-cohen"},
        }
    ).encode()
