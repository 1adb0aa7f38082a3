"""Management commands that create users, organizations, flows, applications and tokens."""

import io
import json

import pytest
from django.core.checks import run_checks
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError

from flowdock_server.models import Application, Flow, Organization, User

from .conftest import basic
from .serving import migrated
from .test_startup import manage

PASSWORD = "kelp forest in winter"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, stdout=io.StringIO())
    return str(caught.value), caught.value.returncode


@pytest.fixture
def with_password(monkeypatch):
    monkeypatch.setenv("FLOWDOCK_PASSWORD", PASSWORD)


@pytest.mark.django_db
class TestOrganizations:
    def test_name_in_urls_is_made_from_the_name(self):
        made = json.loads(run("create_organization", "Böring & Söns", "--json"))

        assert made["parameterized_name"] == "boring-sons"
        assert Organization.objects.get(pk=made["id"]).name == "Böring & Söns"

    def test_name_without_latin_letters_requires_a_name_in_urls(self):
        said, code = refused("create_organization", "海運")

        assert (code, "--parameterized-name" in said) == (2, True)
        assert "kaiun" in run("create_organization", "海運", "--parameterized-name", "kaiun")

    def test_repeating_is_refused_without_exist_ok(self, world):
        assert refused("create_organization", "Acme") == (
            "The organization acme already exists. Use --exist-ok to accept that",
            1,
        )
        assert "Found the organization Acme" in run(
            "create_organization", "Acme", "--exist-ok", "--admin", "otto@example.com"
        )
        assert world.acme.memberships.get(user=world.otto).admin

    @pytest.mark.parametrize("name", ["Private", "All", "find"])
    def test_reserved_name_in_urls_is_refused(self, name):
        said, code = refused("create_organization", name)

        assert (code, "--parameterized-name" in said) == (2, True)

    def test_unknown_admin_creates_nothing(self):
        assert refused("create_organization", "Acme", "--admin", "who@example.com")[1] == 1
        assert not Organization.objects.exists()


class TestUsers:
    def test_new_user_can_sign_in_and_is_in_their_flows(self, world, with_password):
        made = json.loads(run("create_user", "Lea@Example.com", "Lea Cohen", "--flow", "acme/main", "--json"))

        user = User.objects.get(pk=made["id"])
        assert (user.email, user.nick) == ("lea@example.com", "Lea")
        assert list(Flow.objects.open_to(user)) == [world.main]
        answer = basic("lea@example.com", PASSWORD).get("/flows")
        assert [flow["id"] for flow in answer.json()] == [str(world.main.pk)]

    def test_admin_option_makes_an_admin(self, world, with_password):
        run("create_user", "lea@example.com", "Lea Cohen", "--organization", "acme", "--admin")

        assert world.acme.memberships.get(user__email="lea@example.com").admin

    def test_weak_password_is_refused(self, db, monkeypatch):
        monkeypatch.setenv("FLOWDOCK_PASSWORD", "password1")

        said, code = refused("create_user", "lea@example.com", "Lea Cohen")

        assert (code, "too common" in said) == (1, True)
        assert not User.objects.exists()

    def test_user_for_a_program_has_no_password(self, world):
        run("create_user", "bot@example.com", "Build Bot", "--no-password", "--flow", "acme/main")

        assert not User.objects.get(email="bot@example.com").has_usable_password()

    def test_repeating_is_refused_without_exist_ok(self, world):
        assert refused("create_user", "otto@example.com", "Otto", "--no-password")[1] == 1
        run("create_user", "otto@example.com", "Somebody Else", "--exist-ok", "--flow", "acme/main")

        world.otto.refresh_from_db()
        assert world.otto.name == "Otto Berg"
        assert world.main in Flow.objects.open_to(world.otto)

    def test_errors_name_the_wrong_argument(self, world):
        assert "'nobody' is not a valid e-mail address" in refused("create_user", "nobody", "Lea Cohen")[0]
        assert refused("create_user", "lea@example.com", "Lea", "--no-password", "--flow", "acme/none") == (
            "There is no flow acme/none",
            1,
        )
        assert "name:" in refused("create_user", "lea@example.com", "x" * 101, "--no-password")[0]
        assert not User.objects.filter(email="lea@example.com").exists()


class TestFlows:
    def test_flow_is_created_with_its_members(self, world):
        made = json.loads(run("create_flow", "acme", "Deploys & More", "--member", "otto@example.com", "--json"))

        flow = Flow.objects.get(pk=made["id"])
        assert flow.parameterized_name == "deploys-more"
        assert made["url"].endswith("/flows/acme/deploys-more")
        assert flow in Flow.objects.open_to(world.otto)

    def test_repeating_is_refused_without_exist_ok(self, world):
        assert refused("create_flow", "acme", "Main") == (
            "The flow acme/main already exists. Use --exist-ok to accept that",
            1,
        )
        assert str(world.main.pk) in run("create_flow", "acme", "Main", "--exist-ok")
        assert refused("create_flow", "nowhere", "Main") == (
            "There is no organization nowhere",
            1,
        )


class TestApplications:
    def test_printed_secret_works_at_the_token_endpoint(self, world, client):
        made = json.loads(
            run("create_application", "Lights", "https://lights.test/back", "--owner", "ines@example.com", "--json")
        )

        answer = client.post(
            "/oauth/token",
            {
                "grant_type": "password",
                "username": "ines@example.com",
                "password": "a password",
                "client_id": made["client_id"],
                "client_secret": made["client_secret"],
            },
            headers={"Accept": "application/json"},
        )
        assert answer.json()["token_type"].lower() == "bearer"
        assert Application.objects.get(pk=made["id"]).user == world.ines

    def test_script_can_register_an_application_again_with_its_own_secret(self, world, client, settings):
        secret = settings.BRIDGE_CLIENT_SECRET = "chosen-by-the-operator-0123456789-0123456789"
        first = json.loads(run("create_application", "Lights", "https://a.test/", "--client-id", "lights", "--json"))
        again = json.loads(run("create_application", "Lights", "https://b.test/", "--client-id", "lights", "--json"))

        answer = client.post(
            "/oauth/token",
            {
                "grant_type": "password",
                "username": "ines@example.com",
                "password": "a password",
                "client_id": "lights",
                "client_secret": secret,
            },
        )
        assert answer.status_code == 200
        assert first == again == {"id": first["id"], "client_id": "lights"}
        assert Application.objects.get(client_id="lights").redirect_uris == "https://b.test/"

    def test_client_id_without_a_secret_is_refused(self, db, settings):
        settings.BRIDGE_CLIENT_SECRET = ""

        said, code = refused("create_application", "Lights", "https://a.test/", "--client-id", "lights")

        assert (code, "FLOWDOCK_CLIENT_SECRET" in said) == (1, True)

    def test_published_application_is_offered_in_flows(self, db):
        run(
            "create_application", "Bridge", "https://bridge.test/back",
            "--published", "--setup-uri", "https://bridge.test/setup?flow={flow_id}",
        )  # fmt: skip

        application = Application.objects.get(name="Bridge")
        assert application.published
        assert application.setup_uri == "https://bridge.test/setup?flow={flow_id}"

    def test_invalid_url_is_refused(self, db):
        said, code = refused("create_application", "Lights", "lights.test")
        assert code == 2
        assert said
        assert refused("create_application", "Lights", "https://l.test/", "--setup-uri", "javascript:x")[1] == 2
        assert refused("create_application", "  ", "https://l.test/")[1] == 2
        assert not Application.objects.exists()


class TestTokens:
    def test_personal_token_works_for_the_api(self, world):
        token = run("issue_token", "ines@example.com", "--name", "laptop").strip()

        assert basic(token).get("/user").json()["id"] == world.ines.pk
        assert world.ines.api_tokens.get().name == "laptop"

    def test_user_option_issues_a_personal_token(self, world):
        token = run("issue_token", "--user", "ines@example.com").strip()

        assert basic(token).get("/user").json()["id"] == world.ines.pk
        assert "not allowed with" in refused("issue_token", "ines@example.com", "--user", "otto@example.com")[0]
        assert "required" in refused("issue_token")[0]

    def test_flow_token_works_for_the_push_api_and_replaces_the_previous_one(self, world, client):
        first, second = (run("issue_token", "acme/main").strip() for _ in range(2))

        said = {"content": "Built", "external_user_name": "ci"}
        assert client.post(f"/messages/chat/{first}", said).status_code == 401
        assert client.post(f"/messages/chat/{second}", said).status_code == 200
        assert world.main.messages.get().content == "Built"

    def test_token_for_an_unknown_owner_is_refused(self, world):
        world.otto.is_active = False
        world.otto.save()

        assert refused("issue_token", "who@example.com") == (
            "There is no user who@example.com",
            1,
        )
        assert refused("issue_token", "otto@example.com")[1] == 1
        assert refused("issue_token", "acme/none") == ("There is no flow acme/none", 1)
        assert refused("issue_token", "acme")[1] == 2


COMMANDS = ["create_organization", "create_user", "create_flow", "create_application", "issue_token"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples_and_exit_codes(name):
    said = load_command_class("flowdock_server", name).create_parser("flowdock_server", name).format_help()

    assert f"python -m flowdock_server {name} " in said
    assert "Exit codes:\n  0  " in said


def test_commands_work_as_processes(tmp_path):
    """Standard input and exit codes, which need a separate process."""

    def server(*arguments, **more):
        return manage(*arguments, DATA_DIR=str(tmp_path), FLOWDOCK_SERVER_SECRET_KEY="x", **more)

    migrated(tmp_path)
    nothing = server("create_user", "lea@example.com", "Lea Cohen", input="")
    assert (nothing.returncode, "FLOWDOCK_PASSWORD" in nothing.stderr) == (2, True)
    assert server("create_user", "lea", "Lea Cohen", "--no-password").returncode == 2
    assert server("create_user", "lea@example.com", "Lea Cohen", input="password1\n").returncode == 1
    made = server("create_user", "lea@example.com", "Lea Cohen", input=f"{PASSWORD}\n")
    assert (made.returncode, PASSWORD in made.stdout + made.stderr) == (0, False)
    token = server("issue_token", "lea@example.com")
    assert (token.returncode, len(token.stdout.strip())) == (0, 32)


@pytest.mark.django_db
class TestReencryption:
    """reencrypt_secrets"""

    @pytest.fixture
    def application(self, world, settings):
        application = Application.objects.create(
            name="Bridge",
            client_type="confidential",
            authorization_grant_type="authorization-code",
            redirect_uris="https://bridge.example/complete/flowdock/",
            client_secret="a client secret",
        )
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new key"
        return application

    def test_new_key_alone_decrypts_the_client_secrets_afterwards(self, application, settings):
        assert run("reencrypt_secrets", "--dry-run") == "2 of 2 secrets need an older key\n"
        assert run("reencrypt_secrets") == "2 of 2 secrets encrypted again\n"
        assert run("reencrypt_secrets") == "0 of 2 secrets encrypted again\n"
        settings.SECRET_KEY_FALLBACKS = []

        assert Application.objects.get(pk=application.pk).signing_secret == "a client secret"

    def test_secret_that_no_key_decrypts_is_named_and_not_changed(self, application, settings):
        settings.SECRET_KEY_FALLBACKS = []

        said, code = refused("reencrypt_secrets")

        assert (code, "Bridge" in said) == (1, True)
        application.refresh_from_db()
        assert application.sealed_secret

    def test_deployment_check_reports_secrets_of_old_and_lost_keys(self, application, settings):
        def found() -> set[str]:
            return {each.id for each in run_checks(include_deployment_checks=True) if each.id.startswith("flowdock_se")}

        assert found() == {"flowdock_server.I001"}
        settings.SECRET_KEY_FALLBACKS, kept = [], settings.SECRET_KEY_FALLBACKS
        assert found() == {"flowdock_server.E001"}
        settings.SECRET_KEY_FALLBACKS = kept
        run("reencrypt_secrets")
        assert found() == set()
