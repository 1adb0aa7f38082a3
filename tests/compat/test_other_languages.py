"""Requests of clients that could not be installed, taken from their source code."""

import base64

import pytest
import requests


@pytest.fixture
def send(flowdock):
    """Send a request unchanged to api.flowdock.com. Returns its status and body."""

    def sent(method, path, **kwargs):
        headers = {"Host": "api.flowdock.com"} | kwargs.pop("headers", {})
        address = f"https://127.0.0.1:{flowdock.port}{path}"
        return requests.request(method, address, headers=headers, verify=str(flowdock.authority), timeout=30, **kwargs)

    return sent


def basic(user, password=""):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_go_flowdock_posts_parameters_in_the_query(send, flowdock):
    """wm/go-flowdock, with an OAuth or a personal token."""
    headers = basic(flowdock.people["ines"].token)
    parameters = {"flow": flowdock.flow["id"], "event": "message", "content": "By Go", "tags": "a,b", "uuid": "go-1"}

    said = send("POST", "/messages", params=parameters, headers=headers).json()
    again = send("POST", "/messages", params=parameters, headers=headers).json()
    comment = {"flow": flowdock.flow["id"], "event": "comment", "message": said["id"], "content": "By Go too"}
    answer = send("POST", "/comments", params=comment, headers=headers).json()

    assert (said["content"], said["uuid"], again["id"]) == ("By Go", "go-1", said["id"])
    assert {"a", "b"} <= set(said["tags"])
    assert answer["content"] == {"title": "By Go", "text": "By Go too"}


def test_jenkins_plugin_posts_a_form_and_accepts_only_200(send, flowdock):
    """flowdock/jenkins-flowdock-plugin, whose settings can contain tokens of several flows, separated by commas."""
    form = {
        "subject": "tide-tables build 12 is fixed", "content": "<h3>tides</h3>Build: 12<br />", "project": "tides",
        "from_address": "build+ok@flowdock.com", "from_name": "CI", "source": "Jenkins", "tags": "success",
        "link": "https://ci.test/job/12/",
    }  # fmt: skip

    answer = send("POST", f"/v1/messages/team_inbox/{flowdock.push_token}", data=form)

    assert answer.status_code == 200
    assert flowdock.last()["content"]["subject"] == "tide-tables build 12 is fixed"


def test_php_library_pushes_json(send, flowdock):
    """mremi/Flowdock sends all fields, with null for missing values; bitdock leaves these out."""
    message = {"content": "By PHP", "external_user_name": "php", "tags": ["#ci"], "message_id": None, "thread_id": None}

    answer = send("POST", f"/v1/messages/chat/{flowdock.push_token}", json=message)

    assert (answer.status_code, answer.json()) == (200, {})
    assert flowdock.last()["content"] == "By PHP"


def test_clj_flowdock_sends_a_json_content_type_without_a_body(send, flowdock):
    headers = basic(flowdock.people["ines"].token) | {"Content-Type": "application/json"}

    said = send(
        "POST", "/flows/acme/main/messages", json={"event": "message", "content": "By Clojure"}, headers=headers
    )
    address = f"/flows/acme/main/messages/{said.json()['id']}"

    assert send("GET", address, headers=headers).json()["content"] == "By Clojure"
    assert send("PUT", address, json={"content": "Edited"}, headers=headers).json() == {}
    assert send("DELETE", address, headers=headers).status_code == 200


def test_curl_uploads_a_file_as_documented(send, flowdock):
    answer = send(
        "POST", "/flows/acme/main/messages", headers=basic(flowdock.people["ines"].token),
        data={"event": "file"}, files={"content": ("low tide.png", b"no picture at all", "image/png")},
    ).json()  # fmt: skip

    (attachment,) = answer["attachments"]
    assert (attachment["file_name"], attachment["file_size"]) == ("low tide.png", 17)
    download = send("GET", attachment["path"], headers=basic(flowdock.people["ines"].token), allow_redirects=False)
    assert download.status_code == 302


def test_curl_attaches_files_to_an_activity(send, flowdock):
    answer = send(
        "POST", "/messages", headers={"Accept": "application/json", "X-flowdock-wait-for-message": "true"},
        data={
            "event": "activity", "author[name]": "Uploaded", "title": "Upload a file",
            "body": 'test <img src="cid:file1">', "thread[title]": "Thread title", "external_thread_id": "asdf",
            "flow_token": flowdock.source("curl"),
        },
        files={"attachments[file1]": ("log.txt", b"03:12 low", "text/plain")},
    )  # fmt: skip

    assert answer.status_code == 200
    assert answer.json()["attachments"][0]["content_id"] == "file1"


def test_command_line_tool_signs_in_by_the_password_grant(send, flowdock):
    """It first registers an application with the person's password."""
    ines = flowdock.people["ines"]
    password = flowdock.stack.env["FLOWDOCK_PASSWORD"]
    application = send(
        "POST", "/oauth/applications", headers=basic(ines.email, password),
        json={"application": {"name": "Shell", "redirect_uri": "urn:ietf:wg:oauth:2.0:oob"}},
    ).json()  # fmt: skip

    answer = send(
        "POST", "/oauth/token",
        data={
            "grant_type": "password", "username": ines.email, "password": password, "scope": "flow integration",
            "client_id": application["client_id"], "client_secret": application["client_secret"],
        },
    )  # fmt: skip

    assert answer.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    fields = dict(pair.split("=") for pair in answer.text.split("&"))
    flows = send("GET", "/v1/flows.json", headers={"Authorization": f"Bearer {fields['access_token']}"}).json()
    assert [flow["name"] for flow in flows] == ["Main"]
