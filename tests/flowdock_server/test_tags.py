"""Tags: those that are found in texts, those that are sent, and searching for them."""

import pytest

from flowdock_server.models import FlowMembership, User

from .conftest import post


@pytest.fixture
def people(world):
    """Members of Lobby: Ines (author), Otto, Foo-Bar, J.R, Gone (blocked), and Closed (whose account is closed)."""
    for name, nick in (("Foo", "Foo-Bar"), ("J", "J.R"), ("Gone", "Gone"), ("Closed", "Closed")):
        user = User.objects.create_user(f"{name}@example.com".lower(), name, nick=nick)
        FlowMembership.objects.create(flow=world.lobby, user=user, disabled=name == "Gone")
    User.objects.filter(nick="Closed").update(is_active=False)
    return {user.nick: user.pk for user in User.objects.all()}


@pytest.fixture
def say(world, as_person):
    ines = as_person(world.ines)

    def said(content, **more):
        answer = post(ines, "/flows/acme/lobby/messages", {"event": "message", "content": content, **more})
        assert answer.status_code == 201
        return answer.json()

    return said


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("a #hashtag here", ["hashtag"]),
        ("#1hashtag and #16 and #0", ["1hashtag", "16", "0"]),
        ("hello #foo-bar", ["foo-bar"]),
        ("(#one )#two [#three ]#four ’#five’#six", ["one", "two", "three", "four", "five", "six"]),
        (
            "#mañana #café #Ateş #트위터 #ашок #カタカナ #学問のすゝめ",
            ["mañana", "café", "Ateş", "트위터", "ашок", "カタカナ", "学問のすゝめ"],
        ),
        ("全角 ＃ｈａｓｈ１２３", ["ｈａｓｈ１２３"]),
        ("ハッシュ。#日本語。", ["日本語"]),
        ("日本語#日本語", []),
        ("#a: #b; #c, #d. #e! #f?", ["a", "b", "c", "d", "e", "f"]),
        ("#one\ntext\n#two\n", ["one", "two"]),
        ("#http://x.test #a#b # c a#b &#39; /#x", []),
        ("Bug: http://example.org/Terminator_(character)#Models", [":url"]),
        ("see foo.com or http://no-tld", [":url"]),
        ("mail ann@foo.com, not $foo.com nor #foo.com", ["foo"]),
        ("#Same #same", ["Same"]),
        ("run\n    #!/bin/sh #not a tag\nthen #this", ["this"]),
    ],
)
def test_hashtags_and_links_are_found_in_a_text(say, text, tags):
    assert say(text)["tags"] == tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("Hello @otto", [":user:Otto", ":unread:Otto"]),
        ("@FOO-BAR, you", [":user:Foo-Bar", ":unread:Foo-Bar"]),
        ("ask @J.R. about it", [":user:J.R", ":unread:J.R"]),
        ("@otto and @foo-bar", [":user:Otto", ":unread:Otto", ":user:Foo-Bar", ":unread:Foo-Bar"]),
        ("hello OTTO", [":highlight:Otto", ":unread:Otto"]),
        ("@otto: Otto", [":user:Otto", ":unread:Otto"]),
        ("motto, otto-man, #otto and otto@example.com", ["otto"]),
        ("@gone @closed gone closed @nobody", []),
        ("me, @ines and Ines", [":user:Ines"]),
        ("@http://otto.test otto@", [":highlight:Otto", ":unread:Otto"]),
    ],
)
def test_people_are_mentioned_by_nick(say, people, text, tags):
    ids = {
        f":{kind}:{nick}": f":{kind}:{key}" for nick, key in people.items() for kind in ("user", "unread", "highlight")
    }

    assert say(text)["tags"] == [ids.get(tag, tag) for tag in tags]


@pytest.mark.parametrize("word", ["everyone", "everybody", "ALL", "anyone", "anybody"])
def test_everyone_means_all_members_but_the_author(say, people, word):
    everyone = [":user:everyone", *(f":unread:{people[nick]}" for nick in ("Otto", "Foo-Bar", "J.R"))]

    assert say(f"Hello @{word}")["tags"] == everyone
    assert say("Hello", tags=f"@{word}")["tags"] == everyone


@pytest.mark.parametrize(
    "tags", [["@OTTO", "#cool", "awesome"], "@otto,#cool, awesome", '["@otto", "#cool", "awesome"]']
)
def test_tags_can_be_a_list_or_separated_by_commas(say, people, tags):
    otto = people["Otto"]

    assert say("Fine", tags=tags)["tags"] == [f":user:{otto}", f":unread:{otto}", "cool", "awesome"]


def test_tags_that_state_a_fact_cannot_be_set(say):
    assert say("Fine", tags=[":file", "influx:1", ":source:git", "ok"])["tags"] == ["ok"]


def test_example_of_flowdocks_documentation(say, people):
    otto = people["Otto"]
    said = say(
        "@Otto, there's a severe #bug in the flux-capacitor, see http://example.com", tags=["#space-time-continuum"]
    )

    assert sorted(said["tags"]) == sorted(["space-time-continuum", f":user:{otto}", f":unread:{otto}", ":url", "bug"])


def test_messages_are_found_by_tags(world, as_person, say, people):
    both = say("#Tide and #wind, @otto")["id"]
    tide = say("#tide")["id"]
    wind = say("#wind for @everyone")["id"]
    say("nothing")
    otto = as_person(world.otto)

    def found(**parameters):
        return [message["id"] for message in otto.get("/flows/acme/lobby/messages", parameters).json()]

    assert found(tags="TIDE") == [both, tide]
    assert found(tags="#tide,wind") == [both]
    assert found(tags="tide, wind", tag_mode="and") == [both]
    assert found(tags="tide,wind", tag_mode="or") == [both, tide, wind]
    assert found(tags="@Otto") == [both]
    assert found(tags=f":user:{people['Otto']}") == [both]
    assert found(tags=f":unread:{people['Otto']}") == [both, wind]
    assert found(tags="@all") == [wind]
    assert found(tags="@nobody") == []
    assert found(tags="@nobody,tide", tag_mode="or") == [both, tide]


def test_message_with_many_mentions_takes_as_many_queries_as_one_without(world, say, people, django_assert_num_queries):
    with django_assert_num_queries(9) as plain:
        say("nothing to see")
    with django_assert_num_queries(len(plain) + 1):  # the tags themselves
        say("@everyone @otto @foo-bar otto #a #b #c http://x.test")
