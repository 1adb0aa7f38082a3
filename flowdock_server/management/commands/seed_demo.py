from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.models import Application, Flow, FlowMembership, Membership, Organization, User
from flowdock_server.people.demo_accounts import DEMO, OTHER, PASSWORD


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = (
        "Create the accounts, the organization and the flows of the demonstration, and register the bridge as an "
        "application. Can be repeated: existing objects are kept, and the bridge's URLs and secret are updated from "
        "the settings."
    )

    @transaction.atomic
    def handle(self, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "The demonstration's accounts have public passwords. Set FLOWDOCK_SERVER_DEMO=1 to create them anyway."
            )
        if not (settings.BRIDGE_CLIENT_ID and settings.BRIDGE_CLIENT_SECRET):
            raise CommandError(
                "The bridge has no client ID and secret. Set FLOWDOCK_CLIENT_ID and FLOWDOCK_CLIENT_SECRET to the same "
                "values for the bridge and for this server."
            )
        demo = self._person(DEMO, "Mira Sand", "mira")
        other = self._person(OTHER, "Tom Okafor", "tom")
        acme, _ = Organization.objects.get_or_create(parameterized_name="acme", defaults={"name": "Acme"})
        Membership.objects.get_or_create(organization=acme, user=demo, defaults={"admin": True})
        Membership.objects.get_or_create(organization=acme, user=other)
        self._flow(acme, "main", "Main", demo)
        self._flow(acme, "lobby", "Lobby", demo, other)
        self._register_bridge(demo)
        self.stdout.write(f"Sign in at {settings.SERVER_URL} as {demo.email} or {other.email}, password {PASSWORD}")

    def _person(self, email: str, name: str, nick: str) -> User:
        return User.objects.filter(email=email).first() or User.objects.create_user(email, name, PASSWORD, nick=nick)

    def _flow(self, organization: Organization, parameterized_name: str, name: str, *members: User) -> None:
        flow, made = Flow.objects.get_or_create(
            organization=organization, parameterized_name=parameterized_name, defaults={"name": name}
        )
        if made:
            FlowMembership.objects.bulk_create(FlowMembership(flow=flow, user=member) for member in members)

    def _register_bridge(self, owner: User) -> None:
        follow_settings = {
            "redirect_uris": f"{settings.BRIDGE_URL}/complete/flowdock/",
            "setup_uri": f"{settings.BRIDGE_URL}/flowdock/setup?flow={{flow_id}}&flow_url={{flow_url}}",
            "configuration_uri": (
                f"{settings.BRIDGE_URL}/flowdock/configure?integration_id={{source_id}}&flow={{flow_id}}"
            ),
            "client_secret": settings.BRIDGE_CLIENT_SECRET,
        }
        bridge, _ = Application.objects.update_or_create(
            client_id=settings.BRIDGE_CLIENT_ID,
            defaults=follow_settings,
            create_defaults={
                "user": owner,
                "name": "Flowdock Bridge",
                "description": "Posts activity from the tools your team uses to its inbox.",
                "icon": "/static/logo.svg",
                "published": True,
                "client_type": Application.CLIENT_CONFIDENTIAL,
                "authorization_grant_type": Application.GRANT_AUTHORIZATION_CODE,
                **follow_settings,
            },
        )
        self.stdout.write(f"Registered {bridge.name} with the redirect URI {bridge.redirect_uris}")
