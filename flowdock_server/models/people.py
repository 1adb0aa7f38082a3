from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from flowdock_server.secrets.tokens import digest, new_token

# The name of an organization or a flow in URLs.
PARAMETERIZED = RegexValidator(re.compile(r"\A[a-z0-9][a-z0-9_-]*\Z"), "may hold a-z, 0-9, hyphen and underscore")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, name: str, password: str | None = None, **fields: Any) -> User:
        """Create a user. `nick` defaults to the first word of `name`. Without a password, they need a token."""
        fields.setdefault("nick", name.split()[0] if name.split() else email.partition("@")[0])
        user = self.model(email=email, name=name, **fields)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, email: str | None) -> User:
        return self.get(email=(email or "").strip().lower())


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]  # OAuth's application has no types
    """A person or a bot, who signs in with their e-mail address. It is unique and in lower case.

    `name` is shown on pages ("Lea Cohen"), `nick` is used in mentions ("lea"). `avatar` and `website` are URLs or
    empty; pages show `initials` unless settings.REMOTE_IMAGES allows images from other hosts. `status` is a text that
    they set. `last_activity_at` is when they were last active, `last_ping_at` when they last had a stream open. The
    account of a user who is not `is_active` is closed.
    """

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    nick = models.CharField(max_length=50)
    avatar = models.URLField(max_length=2000, blank=True)
    website = models.URLField(max_length=2000, blank=True)
    status = models.TextField(blank=True)
    is_active = models.BooleanField(default=True)
    last_activity_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_ping_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sessions_ended = models.PositiveIntegerField(default=0, editable=False)  # how often, see end_sessions

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = self.email.strip().lower()
        super().save(*args, **kwargs)

    def get_session_auth_hash(self) -> str:
        """The hash that a session must have to be valid. It changes with the password and by `end_sessions`."""
        return self._noted(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._noted, super().get_session_auth_fallback_hash())

    def _noted(self, noted: str) -> str:
        return f"{noted}:{self.sessions_ended}" if self.sessions_ended else noted

    def end_sessions(self) -> None:
        """Sign the person out of all browsers. API tokens and the access of applications are not affected."""
        User.objects.filter(pk=self.pk).update(sessions_ended=models.F("sessions_ended") + 1)

    @property
    def initials(self) -> str:
        """One or two letters, shown in place of a picture."""
        return initials(self.name)


def initials(name: str) -> str:
    """The first letters of the first and the last word: "Lea Cohen" gives "LC", "github" gives "G"."""
    words = [word for word in re.split(r"\W+", name) if word]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def of(self, user: User) -> OrganizationQuerySet:
        """The organizations of `user`."""
        return self.filter(pk__in=Membership.objects.filter(user=user).values("organization"))


class Organization(models.Model):
    """A company or team: people and the flows that they share. `parameterized_name` is its name in URLs."""

    name = models.CharField(max_length=100)
    parameterized_name = models.CharField(max_length=100, unique=True, validators=[PARAMETERIZED])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(models.QuerySet["Membership"]):
    def with_flow_count(self) -> MembershipQuerySet:
        """Memberships with `flow_count`: in how many flows of the organization the member is, without being blocked."""
        own = models.Q(
            user__flow_memberships__flow__organization=models.F("organization"), user__flow_memberships__disabled=False
        )
        return self.annotate(flow_count=models.Count("user__flow_memberships", filter=own))


class Membership(models.Model):
    """Makes a person a member of an organization. This gives no access to its flows: see FlowMembership."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    admin = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="one_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class ApiToken(models.Model):
    """A personal API token, sent as the user name of Basic authentication. It has the person's full access.

    Create it with `ApiToken.issue(user, name)`, which returns it and the token, which cannot be read again.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @classmethod
    def issue(cls, user: User, name: str) -> tuple[ApiToken, str]:
        token = new_token()
        return cls.objects.create(user=user, name=name, digest=digest(token)), token

    def revoke(self) -> None:
        """The token stops working."""
        self.delete()


class EmailChange(models.Model):
    """A requested change of a person's e-mail address, until the link that was sent to the new one is opened.

    `flowdock_server.people.email_changes` writes it.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="email_change")
    email = models.EmailField()
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    requested_at = models.DateTimeField(editable=False)

    def __str__(self) -> str:
        return f"{self.user} to {self.email}"


class SignInFailures(models.Model):
    """The number of consecutive wrong passwords for an account, an address, or an account at a known address.

    `key` is a digest of these. `flowdock_server.people.sign_in` writes it.
    """

    key = models.CharField(primary_key=True, max_length=64, editable=False)
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.last_at}"
