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
from flowdock_server.secrets.encryption import CannotDecrypt, decrypt, encrypt
from flowdock_server.secrets.hashers import GENERATED_LENGTH, GeneratedSecretHasher
from flowdock_server.secrets.tokens import digest, new_token

from .flows import Flow
from .people import User

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


def _fill(address: str, values: dict[str, str], otherwise: dict[str, str]) -> str:
    """Fill the {placeholders} of `address` with `values`. If it has none, add `otherwise` to its query."""
    filled = address
    for name, value in values.items():
        filled = filled.replace("{" + name + "}", quote(value, safe=""))
    if filled != address:
        return filled
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, urlencode(otherwise)]))))


def _is_hashed(secret: str) -> bool:
    """Whether the secret is already hashed, as the toolkit decides it."""
    try:
        identify_hasher(secret)
    except ValueError:
        return False
    return True


class ApplicationQuerySet(models.QuerySet["Application"]):
    def offered_to(self, user: User) -> ApplicationQuerySet:
        """Applications that `user` can add to a flow: published ones and their own, where they can be set up."""
        return self.filter(models.Q(published=True) | models.Q(user=user)).exclude(setup_uri="")


class Application(AbstractApplication):
    """An OAuth application. It acts for people who allow it and connects sources to flows.

    `redirect_uris` contains exactly one URI, which may be Flowdock's out-of-band URI. `client_secret` is stored as a
    hash: read it from the object that was just created, or use the result of `rotate_secret()`, and show it once.
    `setup_uri` is what "Add" in a flow's settings opens (without one, the application is not offered there), and
    `configuration_uri` what "Configure" opens: use `setup_address(flow)` and `configuration_address(source)`.
    `signing_secret` is the client secret in plain text, for signing Flowdock-Token.
    """

    # When its developer is deleted, the application stays, since flows are connected to it.
    user = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="applications")
    client_secret: str
    icon = models.CharField(max_length=2000, blank=True, help_text="URL of a square picture")
    description = models.TextField(blank=True)
    setup_uri = models.CharField(max_length=2000, blank=True)
    configuration_uri = models.CharField(max_length=2000, blank=True)
    published = models.BooleanField(default=False, help_text="Available in the inbox settings of every flow")
    sealed_secret = models.TextField(blank=True, editable=False)

    objects = ApplicationManager.from_queryset(ApplicationQuerySet)()

    class Meta(AbstractApplication.Meta):
        pass

    @classmethod
    def draft(cls, **fields: Any) -> Application:
        """A new application that can keep a secret and uses authorization codes, not saved and with a plain secret."""
        return cls(client_type=cls.CLIENT_CONFIDENTIAL, authorization_grant_type=cls.GRANT_AUTHORIZATION_CODE, **fields)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Hash a new client secret, and store it encrypted too, for signing requests to the application.

        A generated secret is hashed with SHA-256. The toolkit hashes other secrets like passwords.
        """
        fields = kwargs.get("update_fields")
        if (fields is None or "client_secret" in fields) and not _is_hashed(self.client_secret):
            self.sealed_secret = encrypt(self.client_secret)
            if len(self.client_secret) >= GENERATED_LENGTH:
                self.client_secret = make_password(self.client_secret, hasher=GeneratedSecretHasher.algorithm)
            if fields is not None:
                kwargs["update_fields"] = {*fields, "sealed_secret"}
        super().save(*args, **kwargs)

    @property
    def signing_secret(self) -> str:
        """The client secret; empty if it is not stored, or encrypted with a key that is no longer set."""
        try:
            return decrypt(self.sealed_secret) if self.sealed_secret else ""
        except CannotDecrypt:
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
        """The full URL of the icon, or empty."""
        return settings.SERVER_URL + self.icon if self.icon.startswith("/") else self.icon

    def setup_address(self, flow: Flow) -> str:
        """The URL that "Add" opens for `flow`: with {flow_id} and {flow_url} filled, or `flow` added to its query."""
        return _fill(self.setup_uri, {"flow_id": str(flow.pk), "flow_url": flow.url}, otherwise={"flow": str(flow.pk)})

    def configuration_address(self, source: Source) -> str:
        """The URL that "Configure" opens for `source`; empty if the application has none.

        {source_id}, {source_url}, {integration_id}, {flow_id} and {flow_url} are filled. If there are none of them,
        `integration_id` and `flow` are added to the query.
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

    def remove(self) -> None:
        """Delete it, unless it has ever connected a source. Raises HasSources."""
        if self.sources.exists():
            raise HasSources
        self.delete()

    def rotate_secret(self) -> str:
        """Replace the client secret and return the new one, which cannot be read again."""
        secret = new_token() + new_token()
        self.client_secret = secret
        self.save(update_fields=["client_secret", "updated"])
        return secret


class HasSources(Exception):
    """The application cannot be deleted, because threads of its sources stay in inboxes."""


class CodeUsed(Exception):
    """The authorization code was already exchanged."""


class UsedCode(models.Model):
    """An authorization code that was exchanged. If it is used again, the tokens from the first use are revoked.

    `checksum` is that of the access token, `token_family` that of its refresh tokens, if there are any.
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
    def record(cls, code: str, application: Application, access_token: str) -> None:
        """Store the tokens of `code`. Raises CodeUsed if it was used before; its first tokens are committed then."""
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
        """Revoke the tokens of `code`, since somebody else has the code too (RFC 6749, section 4.1.2)."""
        used = cls.objects.filter(code_digest=digest(code), application=application).first()
        if used:
            get_refresh_token_model().revoke_family(used.token_family)
            get_access_token_model().objects.filter(token_checksum=used.checksum).delete()


class SourceQuerySet(models.QuerySet["Source"]):
    def connected(self) -> SourceQuerySet:
        """Sources that have not been removed."""
        return self.filter(removed_at=None)


class Source(models.Model):
    """What an application connects to a flow, such as a repository or a project.

    Create it with `Source.connect(...)`, which returns it and its flow token, which cannot be read again. It stays when
    its `creator` is deleted. `remove()` keeps the row, so that requests with its token are answered 410.
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
        """Change what an application can change. None leaves a field unchanged, an empty string clears it."""
        if error_message is not None:
            self.error_message = error_message
        if configuration_url is not None:
            self.configuration_url = configuration_url
        self.save(update_fields=["error_message", "configuration_url"])
        self._publish()

    def remove(self) -> None:
        """Remove the source: requests with its token are answered 410. Its threads stay in the inbox."""
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
        """The URL that "Configure" opens: the source's own, or its application's; may be empty."""
        return self.configuration_url or self.application.configuration_address(self)
