"""Properties of the models that pages and the API rely on."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from flowdock_server.models import (
    Application,
    Conversation,
    Flow,
    FlowMembership,
    Invitation,
    Membership,
    Source,
    User,
)
from flowdock_server.models.people import initials
from flowdock_server.parsing.html import clean_body, clean_line, without_tags
from flowdock_server.secrets.tokens import digest

from .conftest import SECRET


@pytest.mark.parametrize(
    ("setup_uri", "expected"),
    [
        ("https://a.test/setup?flow={flow_id}&flow_url={flow_url}", "https://a.test/setup?flow={id}&flow_url={url}"),
        ("https://a.test/setup", "https://a.test/setup?flow={id}"),
        ("https://a.test/setup?x=1#top", "https://a.test/setup?x=1&flow={id}#top"),
        ("https://a.test/{flow_id}/setup", "https://a.test/{id}/setup"),
        ("https://a.test/setup?other={unknown}", "https://a.test/setup?other={unknown}&flow={id}"),
    ],
)
def test_setup_address_names_the_flow(world, setup_uri, expected):
    world.application.setup_uri = setup_uri
    url = "http%3A%2F%2Ftestserver%2Fflows%2Facme%2Fmain"

    expected = expected.replace("{id}", str(world.main.pk)).replace("{url}", url)
    assert world.application.setup_address(world.main) == expected


@pytest.mark.parametrize(
    ("configuration_uri", "expected"),
    [
        ("https://a.test/configure", "https://a.test/configure?integration_id={id}&flow={flow}"),
        ("https://a.test/c?source={source_id}&u={source_url}", "https://a.test/c?source={id}&u={url}"),
        ("https://a.test/c?i={integration_id}&flow={flow_id}", "https://a.test/c?i={id}&flow={flow}"),
        ("", ""),
    ],
)
def test_configuration_address_names_the_source(world, connect, configuration_uri, expected):
    source, _ = connect()
    source.application.configuration_uri = configuration_uri
    url = f"http%3A%2F%2Ftestserver%2Fflows%2Facme%2Fmain%2Fsources%2F{source.pk}"

    expected = expected.replace("{id}", str(source.pk)).replace("{flow}", str(world.main.pk)).replace("{url}", url)
    assert source.configuration_address == expected
    source.change(configuration_url="https://a.test/own")
    assert source.configuration_address == "https://a.test/own"


def test_invalid_application_is_refused(world):
    world.application.full_clean()
    world.application.redirect_uris = "urn:ietf:wg:oauth:2.0:oob"
    world.application.full_clean()
    for field, value in (("redirect_uris", ""), ("redirect_uris", "javascript:x"), ("setup_uri", "javascript:x")):
        application = Application.objects.get()
        setattr(application, field, value)
        with pytest.raises(ValidationError) as refused:
            application.full_clean()
        assert list(refused.value.message_dict) == [field]


def test_application_with_sources_cannot_be_deleted_and_flow_deletes_everything(world, connect):
    connect()
    with pytest.raises(IntegrityError):
        world.application.delete()

    world.main.delete()

    assert not Source.objects.exists()


@pytest.mark.parametrize("name", ["", "Main", "a b", "-a", "a/b", "ä", "a\n"])
def test_names_in_urls_need_no_escaping(world, name):
    with pytest.raises(ValidationError):
        Flow(organization=world.acme, name="x", parameterized_name=name).full_clean()


def test_user_has_one_membership_in_a_flow(world):
    with pytest.raises(IntegrityError), transaction.atomic():
        FlowMembership.objects.create(flow=world.main, user=world.ines)


def test_email_addresses_are_unique_ignoring_case(world):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("INES@example.com", "Another")


@pytest.mark.parametrize(
    ("name", "letters"), [("Lea Cohen", "LC"), ("github", "G"), ("Ana de la Cruz", "AC"), ("", "?"), ("[bot]", "B")]
)
def test_initials_are_first_letters_of_first_and_last_word(name, letters):
    assert initials(name) == letters


def test_links_send_no_referrer_and_remote_images_need_a_setting(settings):
    link = '<a href="https://x.test/" onclick="y()">x</a>'
    safe = '<a href="https://x.test/" rel="noopener noreferrer nofollow">x</a>'
    picture = '<img src="https://x.test/p.png" alt="p">'

    assert clean_line(f"{link}<b>b</b>") == f"{safe}b"
    assert clean_body(f"{link}<b>b</b>{picture}") == (
        f'{safe}<b>b</b><a href="https://x.test/p.png" rel="noopener noreferrer nofollow">p</a>'
    )
    assert without_tags(f"{link} & <b>b</b>") == "x & b"
    settings.REMOTE_IMAGES = True
    assert clean_body(picture) == (
        '<img src="https://x.test/p.png" alt="p" loading="lazy" referrerpolicy="no-referrer">'
    )
    assert clean_body('<img src="data:image/svg+xml,x"><a href="/account">a</a>') == (
        '<a rel="noopener noreferrer nofollow">a</a>'
    )


def test_demonstration_is_created_once_and_follows_the_settings(db, settings, client):
    call_command("seed_demo")
    User.objects.filter(email="demo@example.com").update(name="Renamed")
    settings.BRIDGE_URL = "http://bridge.elsewhere"

    call_command("seed_demo")

    assert User.objects.count() == 2
    assert User.objects.get(email="demo@example.com").name == "Renamed"
    opens = {
        user.email: sorted(flow.parameterized_name for flow in Flow.objects.open_to(user))
        for user in User.objects.all()
    }
    assert opens == {"demo@example.com": ["lobby", "main"], "other@example.com": ["lobby"]}
    bridge = Application.objects.get()
    assert (bridge.client_id, bridge.redirect_uris) == ("bridge", "http://bridge.elsewhere/complete/flowdock/")
    main = Flow.objects.get(parameterized_name="main")
    assert bridge.setup_address(main).startswith(f"http://bridge.elsewhere/flowdock/setup?flow={main.pk}&flow_url=http")
    assert client.login(username="demo@example.com", password="demo")


@pytest.mark.parametrize(("name", "value"), [("DEMO", False), ("BRIDGE_CLIENT_ID", ""), ("BRIDGE_CLIENT_SECRET", "")])
def test_demonstration_is_refused_unless_enabled(db, settings, name, value):
    setattr(settings, name, value)

    with pytest.raises(CommandError):
        call_command("seed_demo")

    assert not User.objects.exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL scans what fits on a page")
def test_repeated_messages_and_threads_are_found_by_an_index(world, connect):
    source, _ = connect()
    lookups = [
        world.main.messages.filter(uuid="u", source=source),
        world.main.messages.filter(uuid="u", source=None, user=world.ines),
        world.main.threads.filter(source=source, external_thread_id="k"),
        world.main.threads.filter(source=None, external_thread_id="k"),
    ]

    for lookup in lookups:
        assert "uuid=?" in lookup.explain() or "external_thread_id=?" in lookup.explain()


def test_client_secret_is_hashed_and_encrypted(world, settings):
    application = Application.objects.get()
    assert SECRET not in (application.client_secret, application.sealed_secret)
    assert application.signing_secret == SECRET

    application.name = "Renamed"
    application.save()
    assert Application.objects.get().signing_secret == SECRET

    fresh = application.rotate_secret()
    assert Application.objects.get().signing_secret == fresh

    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new key"
    assert Application.objects.get().signing_secret == fresh
    settings.SECRET_KEY_FALLBACKS = []
    assert Application.objects.get().signing_secret == ""


def test_accepted_invitation_adds_to_the_flow_and_organization_once(world):
    first, old_token = Invitation.issue(flow=world.main, email="Sam@Example.com ", invited_by=world.ines)
    again, token = Invitation.issue(flow=world.main, email="sam@example.com", invited_by=world.ines)
    assert (first.pk, first.email) == (again.pk, "sam@example.com")
    assert not Invitation.objects.filter(token_digest=digest(old_token)).exists()

    Invitation.objects.get(token_digest=digest(token)).accept(world.sam)

    assert world.main in Flow.objects.open_to(world.sam)
    assert Membership.objects.get(organization=world.acme, user=world.sam).admin is False
    assert Invitation.objects.get().state == "accepted"
    later, _ = Invitation.issue(flow=world.main, email="sam@example.com", invited_by=world.ines)
    assert later.pk != again.pk


def test_blocked_member_does_not_see_the_flow(world, as_person):
    FlowMembership.objects.filter(flow=world.lobby, user=world.otto).update(disabled=True)
    otto = as_person(world.otto)

    assert otto.get("/flows").json() == []
    assert otto.get("/flows/acme/lobby").status_code == 404


def test_flow_has_one_token_for_the_push_api(world):
    first = world.main.issue_api_token()
    second = world.main.issue_api_token()

    assert not Flow.objects.filter(api_token_digest=digest(first)).exists()
    assert Flow.objects.get(api_token_digest=digest(second)) == world.main


def test_two_people_share_one_conversation(world):
    conversation = Conversation.between(world.otto, world.ines)

    assert Conversation.between(world.ines, world.otto) == conversation
    assert (conversation.first, conversation.other(world.ines)) == (world.ines, world.otto)
    assert list(Conversation.objects.of(world.sam)) == []
    with pytest.raises(IntegrityError), transaction.atomic():
        Conversation.objects.create(first=world.otto, second=world.ines)
