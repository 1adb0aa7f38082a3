"""Run by test_processes.py in a process of its own, over a database in which threads can meet."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import django

django.setup()

# ruff: noqa: E402  models can be imported only now

from django.db import connection
from django.test import RequestFactory

from integrations import ingest
from integrations.activity import Activity, Author, Thread
from integrations.deciding import decide_waiting
from integrations.models import Integration, Origin
from integrations.views.hooks import receive


def github(number: int, request_id: str) -> int:
    """The answer to a webhook, given in a thread with a connection of its own."""
    origin = Origin.objects.get()
    person = {"login": "lea", "html_url": "https://github.com/lea"}
    issue = {
        "number": number, "title": "Issue", "html_url": "https://github.com/octo/hello/issues/1", "state": "open",
        "user": person, "labels": [], "assignees": [],
    }  # fmt: skip
    repository = {"full_name": "octo/hello", "html_url": "https://github.com/octo/hello"}
    body = json.dumps({"action": "opened", "issue": issue, "repository": repository, "sender": person}).encode()
    service = origin.service_object
    headers = service.announce("issues", request_id) | service.sign(body, origin.secret)
    content_type = headers.pop("Content-Type")
    request = RequestFactory().post("/", body, content_type=content_type, headers=headers)
    try:
        return receive(request, origin.hook_id).status_code
    finally:
        connection.close()


def main(what: str, *titles: str) -> object:
    match what:
        case "connect":
            origin = Origin.objects.create(service="github", name="octo/hello")
            return Integration.objects.create(origin=origin, name=origin.name, flow_token="token").pk
        case "post":
            for title in titles:
                activity = Activity(Author("Lea"), title, "one", Thread("One thread"))
                ingest.post(Origin.objects.get(), activity)
            return len(titles)
        case "post-elsewhere":
            origin = Origin.objects.create(service="github", name="octo/other")
            Integration.objects.create(origin=origin, name=origin.name, flow_token="other")
            for title in titles:
                ingest.post(origin, Activity(Author("Lea"), title, "two", Thread("Another thread")))
            return len(titles)
        case "same":
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: github(1, "same"), range(8)))
            decide_waiting()
            return {"answers": answers}
        case "many":
            deciding = [subprocess.Popen([sys.executable, __file__, "decide"]) for _ in range(2)]
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda n: github(n % 3, f"delivery-{n}"), range(200)))
            for process in deciding:
                process.terminate()
                process.wait()
            decide_waiting()
            return {"answers": answers}
        case "decide":  # as a worker would, until it is killed
            while True:
                decide_waiting()
                time.sleep(0.01)
    raise SystemExit(f"unknown: {what}")


print(json.dumps(main(*sys.argv[1:])))
