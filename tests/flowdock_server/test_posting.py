"""Posting by integrations and people, seen in the responses and in the inbox."""

import pytest
from django.test import Client

from flowdock_server.models import Message, Thread

from .conftest import activity, post


@pytest.fixture
def token(connect):
    return connect()[1]


def test_activity_is_stored_and_returned_with_all_fields(client, world, connect):
    source, token = connect()

    response = post(client, "/messages", activity(flow_token=token, uuid="u-1"))

    assert response.status_code == 201
    message = response.json()
    assert message | {"sent": 0, "created_at": "", "thread": {}, "thread_id": ""} == {
        "id": 1,
        "event": "activity",
        "content": None,
        "tags": [],
        "uuid": "u-1",
        "user": "0",
        "sent": 0,
        "created_at": "",
        "flow": str(world.main.pk),
        "attachments": [],
        "app": "influx",
        "title": "opened pull request",
        "body": "",
        "author": {"name": "Lea Cohen", "email": "lea@example.com", "avatar": "https://pictures.test/lea.png"},
        "thread_id": "",
        "thread": {},
    }
    assert message["created_at"].endswith("Z")
    thread = message["thread"]
    assert len(message["thread_id"]) == 27
    assert message["thread_id"] == thread["id"]
    assert thread["title"] == "Warn before low tide"
    assert thread["status"] == {"value": "open", "color": "green"}
    assert thread["source"]["id"] == source.pk
    assert thread["source"]["application"]["name"] == "Build lights"
    assert thread["source"]["icon"] == "http://testserver/static/logo.svg"
    assert (thread["activities"], thread["internal_comments"], thread["external_comments"]) == (1, 0, 0)
    assert thread["initial_message"] == 1


def test_same_key_updates_the_same_thread(client, token):
    first = post(client, "/messages", activity(flow_token=token)).json()
    state = {"title": "Warn before low tide", "status": {"value": "merged", "color": "purple"}}

    second = post(client, "/messages", activity(flow_token=token, title="merged", thread=state)).json()

    assert second["thread_id"] == first["thread_id"]
    assert second["thread"]["status"] == {"value": "merged", "color": "purple"}
    assert second["thread"]["fields"] == []
    assert second["thread"]["activities"] == 2
    assert Thread.objects.get().last_title == "merged"


def test_existing_thread_keeps_its_state_if_none_is_sent(client, token):
    post(client, "/messages", activity(flow_token=token))
    comment = activity(flow_token=token, event="discussion", title="commented", body="<p>Fine</p>")
    del comment["thread"]

    answer = post(client, "/messages", comment).json()

    assert answer["thread"]["status"] == {"value": "open", "color": "green"}
    assert answer["thread"]["external_comments"] == 1


def test_two_sources_can_use_the_same_key_for_different_threads(client, connect):
    threads = {
        post(client, "/messages", activity(flow_token=connect(name=name)[1])).json()["thread_id"] for name in ("a", "b")
    }

    assert len(threads) == 2


def test_thread_id_of_the_api_finds_the_thread(client, token):
    thread_id = post(client, "/messages", activity(flow_token=token)).json()["thread_id"]
    by_id = activity(flow_token=token, thread_id=thread_id)
    del by_id["external_thread_id"]

    assert post(client, "/messages", by_id).json()["thread_id"] == thread_id


def test_source_cannot_change_the_thread_of_another_source(client, connect):
    thread_id = post(client, "/messages", activity(flow_token=connect()[1])).json()["thread_id"]
    foreign = activity(flow_token=connect(name="octo/other")[1], thread_id=thread_id)

    response = post(client, "/messages", foreign)

    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["thread"]
    assert Message.objects.count() == 1


def test_repeated_uuid_returns_the_first_message(client, token):
    first = post(client, "/messages", activity(flow_token=token, uuid="u-1")).json()

    again = post(client, "/messages", activity(flow_token=token, uuid="u-1", title="something else"))

    assert again.status_code == 201
    assert again.json() == first
    assert Message.objects.count() == 1
    assert post(client, "/messages", activity(flow_token=token, uuid="u-2")).json()["id"] == first["id"] + 1


def test_uuid_is_unique_within_its_source(client, connect):
    for name in ("a", "b"):
        post(client, "/messages", activity(flow_token=connect(name=name)[1], uuid="u-1"))

    assert Message.objects.count() == 2


def test_client_that_waits_for_the_message_gets_200(client, token):
    response = post(client, "/messages", activity(flow_token=token), headers={"X-flowdock-wait-for-message": "true"})

    assert response.status_code == 200
    assert response["Link"] == '<http://testserver/flows/acme/main/messages/1/comments>; rel="comments"'
    assert response.json()["id"] == 1


def test_setting_answers_202_with_an_empty_object(client, token, settings):
    settings.ANSWER_POSTS_WITH_202_AND_JSON = True

    response = post(client, "/messages", activity(flow_token=token))

    assert (response.status_code, response.json()) == (202, {})
    assert Message.objects.count() == 1


def test_setting_answers_202_without_a_body(client, token, settings):
    settings.ANSWER_POSTS_WITH_202 = True

    response = post(client, "/messages", activity(flow_token=token))

    assert (response.status_code, response.content) == (202, b"")
    assert "Content-Type" not in response, "nothing is no JSON"
    assert Message.objects.count() == 1


def test_clients_of_october_2014_send_token_and_thread_id(client, token):
    old = activity(token=token, thread_id="poll-7")
    del old["external_thread_id"]

    first, second = (post(client, "/activities", old) for _ in range(2))

    assert first.status_code == 201
    assert second.json()["thread_id"] == first.json()["thread_id"]
    assert Thread.objects.get().external_thread_id == "poll-7"


def test_activities_path_accepts_no_chat_messages(client, token):
    response = post(client, "/activities", {"flow_token": token, "event": "message", "content": "Hello"})

    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["event"]


def test_form_with_brackets_is_the_same_as_json(client, token):
    form = {
        "flow_token": token,
        "event": "activity",
        "title": "opened",
        "external_thread_id": "pr:1",
        "author[name]": "Lea",
        "thread[title]": "Tide",
        "thread[status][value]": "open",
        "thread[status][color]": "green",
        "thread[fields][][label]": ["Branch", "Size"],
        "thread[fields][][value]": ["low-tide", "small"],
        "tags": "tide, #water",
    }

    answer = client.post("/v1/messages", form).json()

    assert answer["author"]["name"] == "Lea"
    assert answer["tags"] == ["tide", "water"]
    assert answer["thread"]["fields"] == [{"label": "Branch", "value": "low-tide"}, {"label": "Size", "value": "small"}]


def test_query_of_a_post_without_a_body_is_read(client, token):
    response = client.post(
        f"/messages.json?flow_token={token}&event=activity&title=opened&external_thread_id=1"
        "&author[name]=Lea&thread[title]=Tide"
    )

    assert response.status_code == 201
    assert response.json()["thread"]["title"] == "Tide"


def test_token_of_a_removed_source_is_gone(client, connect):
    source, token = connect()
    source.remove()

    for response in (
        post(client, "/messages", activity(flow_token=token)),
        post(client, "/activities", activity(token=token)),
        client.put("/sources", {"flow_token": token, "error_message": "x"}, content_type="application/json"),
    ):
        assert response.status_code == 410
        assert "removed" in response.json()["message"]
    assert not Message.objects.exists()


def test_unknown_flow_token_is_unauthorized(client, world):
    response = post(client, "/messages", activity(flow_token="0" * 32))

    assert (response.status_code, response.json()) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"event": "shout"}, "event", "must be one of"),
        ({"title": " "}, "title", "can't be blank"),
        ({"author": None}, "author.name", "can't be blank"),
        ({"author": {"name": ""}}, "author.name", "can't be blank"),
        ({"author": "Lea"}, "author", ""),
        ({"author": {"name": "L", "avatar": "javascript:alert(1)"}}, "author.avatar", "http"),
        ({"thread": None}, "thread", "can't be blank"),
        ({"thread": {"title": ""}}, "thread.title", "can't be blank"),
        ({"thread": {"body": "only"}}, "thread.title", "can't be blank"),
        ({"thread": {"title": "T", "status": {"color": "pink"}}}, "thread.status.color", "must be one of"),
        ({"thread": {"title": "T", "external_url": "javascript:x"}}, "thread.external_url", "http"),
        ({"thread": {"title": "T", "fields": [{"value": "v"}]}}, "thread.fields.0.label", "can't be blank"),
        ({"external_thread_id": ""}, "external_thread_id", "can't be blank"),
        ({"attachments": ["a"]}, "attachments.0", "must be a file"),
        ({"event": "message"}, "content", "can't be blank"),
        ({"event": "message", "content": "x" * 8097}, "content", "too long"),
        ({"event": "comment", "content": "x"}, "message", "can't be blank"),
        ({"event": "comment", "content": "x", "message": 99}, "message", "must be the id of a message in this flow"),
    ],
)
def test_invalid_message_is_refused_with_the_field_and_the_reason(client, token, change, field, reason):
    response = post(client, "/messages", activity(flow_token=token, **change))

    assert response.status_code == 400
    assert response.json()["message"] == "Validation error"
    assert list(response.json()["errors"]) == [field]
    assert reason in response.json()["errors"][field][0]
    assert not Message.objects.exists()
    assert not Thread.objects.exists()


def test_person_can_post_to_a_thread(client, world, as_person, token):
    thread = post(client, "/messages", activity(flow_token=token)).json()["thread"]
    ines = as_person(world.ines)

    response = post(ines, f"/flows/acme/main/threads/{thread['id']}/messages", {"event": "message", "content": "Nice"})

    message = response.json()
    assert response.status_code == 201
    assert response["Flowdock-User"] == str(world.ines.pk)
    assert (message["content"], message["user"], message["app"]) == ("Nice", str(world.ines.pk), "chat")
    assert message["thread"]["internal_comments"] == 1
    assert Thread.objects.get().last_author == "Ines Rao"


def test_person_can_comment_on_a_message(world, as_person):
    ines = as_person(world.ines)
    said = post(ines, "/flows/acme/main/messages", {"event": "message", "content": "Low tide at six"}).json()

    comment = post(ines, f"/flows/acme/main/messages/{said['id']}/comments", {"content": "Thanks"}).json()

    assert comment["event"] == "comment"
    assert comment["content"] == {"title": "Low tide at six", "text": "Thanks"}
    assert comment["tags"] == [f"influx:{said['id']}"]
    on_comment = post(ines, f"/flows/acme/main/messages/{comment['id']}/comments", {"content": "No"})
    assert on_comment.status_code == 400


def test_flow_can_be_named_by_its_id(world, as_person):
    ines = as_person(world.ines)

    named = post(ines, "/messages", {"event": "message", "content": "Hi", "flow": str(world.lobby.pk)})
    unnamed = post(ines, "/messages", {"event": "message", "content": "Hi"})

    assert named.json()["flow"] == str(world.lobby.pk)
    assert (unnamed.status_code, unnamed.json()["errors"]) == (400, {"flow": ["can't be blank"]})


def test_numbers_increase_within_each_flow(client, world, connect):
    tokens = [connect(flow)[1] for flow in (world.main, world.lobby)]

    numbers = [
        [post(client, "/messages", activity(flow_token=token)).json()["id"] for _ in range(3)] for token in tokens
    ]

    assert numbers == [[1, 2, 3], [1, 2, 3]]


def test_flow_token_posts_to_its_own_flow_only(world, connect):
    _, token = connect(world.main)
    client = Client()

    assert post(client, "/flows/acme/main/messages", activity(flow_token=token)).status_code == 201
    assert post(client, "/flows/acme/lobby/messages", activity(flow_token=token)).status_code == 404
    assert post(client, "/messages", activity(flow_token=token, flow=str(world.lobby.pk))).status_code == 404


def test_hostile_html_is_sanitized(client, token):
    nasty = '<script>alert(1)</script><b onclick="x()">hi</b> <a href="javascript:x()">a</a><a href="/me">b</a>'
    state = {
        "title": nasty,
        "body": f'{nasty}<img src="https://spy.test/p.png" alt="chart" onerror="x()"><style>*{{}}</style>',
        "fields": [{"label": "L", "value": nasty}],
    }

    answer = post(client, "/messages", activity(flow_token=token, title=nasty, body=nasty, thread=state)).json()

    texts = [answer["title"], answer["body"], *(answer["thread"][name] for name in ("title", "body"))]
    for text in [*texts, answer["thread"]["fields"][0]["value"]]:
        assert "hi" in text
        for word in ("script", "onclick", "onerror", "<img", "style", "/me"):
            assert word not in text
    assert ">chart</a>" in answer["thread"]["body"]
    assert "<b>" not in answer["thread"]["title"]
    assert "<b>hi</b>" in answer["thread"]["body"]


def test_posting_takes_few_queries(world, connect, client, as_person, django_assert_num_queries):
    _, token = connect()
    ines = as_person(world.ines)
    said = {"event": "message", "content": "Is the build green again?"}
    post(client, "/activities", activity(flow_token=token))
    post(ines, "/flows/acme/main/messages", said)

    with django_assert_num_queries(9):
        assert post(client, "/activities", activity(flow_token=token)).status_code == 201
    with django_assert_num_queries(9):
        assert post(ines, "/flows/acme/main/messages", said).status_code == 201
