from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth.hashers import identify_hasher, make_password
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from oauth2_provider.models import (
    AbstractApplication,
    ApplicationManager,
    get_access_token_model,
    get_refresh_token_model,
)

from flowdock_server.live import Broadcast, hub
from flowdock_server.secrets.encryption import Unsealable, seal, unseal
from flowdock_server.secrets.hashers import GENERATED_LENGTH, GeneratedSecretHasher
from flowdock_server.secrets.tokens import digest, new_token

from .flows import Flow
from .people import User

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


def _fill(address: str, values: dict[str, str], otherwise: dict[str, str]) -> str:
    """Put `values` into the {placeholders} of `address`; where it has none, append `otherwise` to its query."""
    filled = address
    for name, value in values.items():
        filled = filled.replace("{" + name + "}", quote(value, safe=""))
    if filled != address:
        return filled
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, urlencode(otherwise)]))))


def _is_hashed(secret: str) -> bool:
    """As the toolkit decides whether it still has to hash a secret."""
    try:
        identify_hasher(secret)
    except ValueError:
        return False
    return True


class Application(AbstractApplication):
    """A program that people let act for them by OAuth, and that connects sources to flows.

    `redirect_uris` holds exactly one address, or Flowdock's out-of-band one. `client_secret` is stored hashed: read
    it from the object that was just created or given `rotate_secret()`, and show it once. `setup_uri` is where "Add"
    in a flow's settings leads (an application without one is not offered there), `configuration_uri` where
    "Configure" leads: use `setup_address(flow)` and `configuration_address(source)`. `signing_secret` is the client
    secret again, for the signature of Flowdock-Token.
    """

    # Its developer may leave, and it stays: flows are connected through it.
    user = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="applications")
    client_secret: str
    icon = models.CharField(max_length=2000, blank=True, help_text="Address of a square picture")
    description = models.TextField(blank=True)
    setup_uri = models.CharField(max_length=2000, blank=True)
    configuration_uri = models.CharField(max_length=2000, blank=True)
    published = models.BooleanField(default=False, help_text="Offered in the settings of every flow")
    sealed_secret = models.TextField(blank=True, editable=False)

    objects = ApplicationManager()

    class Meta(AbstractApplication.Meta):
        pass

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Hash a new client secret, and seal it, so that what is sent to the application can be signed.

        One that was generated is hashed by SHA-256; one that somebody chose is left to the toolkit, which takes the
        hasher of passwords.
        """
        fields = kwargs.get("update_fields")
        if (fields is None or "client_secret" in fields) and not _is_hashed(self.client_secret):
            self.sealed_secret = seal(self.client_secret)
            if len(self.client_secret) >= GENERATED_LENGTH:
                self.client_secret = make_password(self.client_secret, hasher=GeneratedSecretHasher.algorithm)
            if fields is not None:
                kwargs["update_fields"] = {*fields, "sealed_secret"}
        super().save(*args, **kwargs)

    @property
    def signing_secret(self) -> str:
        """The client secret; empty where it was set before this server could keep it, or under a key that is lost."""
        try:
            return unseal(self.sealed_secret) if self.sealed_secret else ""
        except Unsealable:
            return ""

    def clean(self) -> None:
        if self.redirect_uris.strip() != OUT_OF_BAND:
            super().clean()
        for field in ("setup_uri", "configuration_uri"):
            address = getattr(self, field)
            if address and urlsplit(address.replace("{", "").replace("}", "")).scheme not in ("http", "https"):
                raise ValidationError({field: "must begin with http:// or https://"})

    def get_absolute_url(self) -> str:
        return f"/oauth/applications/{self.pk}"

    @property
    def url(self) -> str:
        return settings.SERVER_URL + self.get_absolute_url()

    @property
    def icon_url(self) -> str:
        """The icon's whole address; empty where there is none."""
        return settings.SERVER_URL + self.icon if self.icon.startswith("/") else self.icon

    def setup_address(self, flow: Flow) -> str:
        """Where "Add" leads from `flow`: {flow_id} and {flow_url} are filled; else `flow` is appended."""
        return _fill(self.setup_uri, {"flow_id": str(flow.pk), "flow_url": flow.url}, otherwise={"flow": str(flow.pk)})

    def configuration_address(self, source: Source) -> str:
        """Where "Configure" leads for `source`; empty where there is nothing to configure.

        {source_id}, {source_url}, {integration_id}, {flow_id} and {flow_url} are filled; else `integration_id` and
        `flow` are appended.
        """
        if not self.configuration_uri:
            return ""
        return _fill(
            self.configuration_uri,
            {
                "source_id": str(source.pk),
                "integration_id": str(source.pk),
                "source_url": source.url,
                "flow_id": str(source.flow_id),
                "flow_url": source.flow.url,
            },
            otherwise={"integration_id": str(source.pk), "flow": str(source.flow_id)},
        )

    def rotate_secret(self) -> str:
        """Make the old client secret useless and return the new one: the only time it is seen."""
        secret = new_token() + new_token()
        self.client_secret = secret
        self.save(update_fields=["client_secret", "updated"])
        return secret


class CodeUsed(Exception):
    """The authorization code was exchanged before."""


class UsedCode(models.Model):
    """An authorization code that was exchanged, and for what: its second use ends what the first one got.

    `checksum` is that of the access token, `token_family` that of its refresh tokens, where there are some.
    """

    KEPT = timedelta(days=14)  # as long as an access token lasts

    code_digest = models.CharField(max_length=64, unique=True, editable=False)
    application = models.ForeignKey(Application, models.CASCADE, related_name="+")
    checksum = models.CharField(max_length=64, editable=False)
    token_family = models.UUIDField(null=True, editable=False)
    used_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)

    def __str__(self) -> str:
        return f"{self.application}, used at {self.used_at}"

    @classmethod
    def keep(cls, code: str, application: Application, access_token: str) -> None:
        """Remember what `code` was exchanged for. Raises CodeUsed; what the first use got is committed by then."""
        cls.objects.filter(used_at__lt=timezone.now() - cls.KEPT).delete()
        tokens = get_refresh_token_model().objects.filter(access_token__token_checksum=digest(access_token))
        got = {
            "application": application,
            "checksum": digest(access_token),
            "token_family": tokens.values_list("token_family", flat=True).first(),
        }
        _, is_first = cls.objects.get_or_create(code_digest=digest(code), defaults=got)
        if not is_first:
            raise CodeUsed

    @classmethod
    @transaction.atomic
    def revoke(cls, code: str, application: Application) -> None:
        """End the tokens that `code` was exchanged for: somebody else has it too (RFC 6749, 4.1.2)."""
        used = cls.objects.filter(code_digest=digest(code), application=application).first()
        if used:
            get_refresh_token_model().revoke_family(used.token_family)
            get_access_token_model().objects.filter(token_checksum=used.checksum).delete()


class SourceQuerySet(models.QuerySet["Source"]):
    def connected(self) -> SourceQuerySet:
        """Those that have not been removed."""
        return self.filter(removed_at=None)


class Source(models.Model):
    """A connection of an application to a flow: one repository, one project.

    Create with `Source.connect(...)`, which returns the row and its flow token: the only time it is seen. `creator`
    may leave and the source stays. `remove()` keeps the row, so that its token is answered 410 for ever.
    """

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="sources")
    application = models.ForeignKey(Application, models.RESTRICT, related_name="sources")
    creator = models.ForeignKey(User, models.SET_NULL, null=True, related_name="sources")
    name = models.CharField(max_length=255)
    external_url = models.CharField(max_length=2000, blank=True)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    error_message = models.TextField(blank=True)
    configuration_url = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SourceQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["flow", "id"], condition=models.Q(removed_at=None), name="connected_sources"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.updated_at = timezone.now()
        if (fields := kwargs.get("update_fields")) is not None:
            kwargs["update_fields"] = {*fields, "updated_at"}
        super().save(*args, **kwargs)

    @classmethod
    def connect(
        cls, *, flow: Flow, application: Application, creator: User | None, name: str, external_url: str = ""
    ) -> tuple[Source, str]:
        token = new_token()
        source = cls(
            flow=flow,
            application=application,
            creator=creator,
            name=name,
            external_url=external_url,
            token_digest=digest(token),
        )
        source.save()
        source._publish()
        return source, token

    def change(self, *, error_message: str | None = None, configuration_url: str | None = None) -> None:
        """What an application may change of its source; None leaves a field as it is, an empty text clears it."""
        if error_message is not None:
            self.error_message = error_message
        if configuration_url is not None:
            self.configuration_url = configuration_url
        self.save(update_fields=["error_message", "configuration_url"])
        self._publish()

    def remove(self) -> None:
        """End it: whoever posts with its token learns 410 Gone. Its threads stay in the inbox."""
        self.removed_at = timezone.now()
        self.error_message = ""
        self.save(update_fields=["removed_at", "error_message"])
        self._publish()

    def _publish(self) -> None:
        broadcast = Broadcast(self.flow_id, "source")
        transaction.on_commit(lambda: hub.publish(broadcast))

    @property
    def url(self) -> str:
        return f"{self.flow.url}/sources/{self.pk}"

    @property
    def configuration_address(self) -> str:
        """Where "Configure" leads: the source's own address if it has one, else its application's; may be empty."""
        return self.configuration_url or self.application.configuration_address(self)
