from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from flowdock_server.secrets.tokens import digest, new_token

# The part of an address that names an organization or a flow.
PARAMETERIZED = RegexValidator(re.compile(r"\A[a-z0-9][a-z0-9_-]*\Z"), "may hold a-z, 0-9, hyphen and underscore")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, name: str, password: str | None = None, **fields: Any) -> User:
        """`nick` is the first word of the name unless given. Without a password nobody can sign in with one."""
        fields.setdefault("nick", name.split()[0] if name.split() else email.partition("@")[0])
        user = self.model(email=email, name=name, **fields)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, email: str | None) -> User:
        return self.get(email=(email or "").strip().lower())


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]  # OAuth's application has no types
    """A person. Signs in by e-mail address, which is kept in lower case and unique.

    `name` is how pages call them ("Lea Cohen"), `nick` how a mention does ("lea"). `avatar` and `website` are
    addresses or empty; pages show `initials` where pictures from elsewhere are off (settings.REMOTE_IMAGES). `status`
    is what they say they are up to. `last_activity_at` is when they last did something, `last_ping_at` when a stream
    of theirs last showed that they are there. One who is not active is blocked everywhere.
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
        """What a session must have noted at sign-in to count: it changes with the password and with `end_sessions`."""
        return self._noted(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._noted, super().get_session_auth_fallback_hash())

    def _noted(self, noted: str) -> str:
        return f"{noted}:{self.sessions_ended}" if self.sessions_ended else noted

    def end_sessions(self) -> None:
        """Sign the person out of every browser. API tokens and what applications were allowed stay."""
        User.objects.filter(pk=self.pk).update(sessions_ended=models.F("sessions_ended") + 1)

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.nick

    @property
    def initials(self) -> str:
        """One or two letters for the round picture."""
        return initials(self.name)


def initials(name: str) -> str:
    """The first letters of the first and the last word: "Lea Cohen" gives "LC", "github" gives "G"."""
    words = [word for word in re.split(r"\W+", name) if word]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def of(self, user: User) -> OrganizationQuerySet:
        """Those that `user` belongs to."""
        return self.filter(memberships__user=user)


class Organization(models.Model):
    """A company or team: people, and the flows they share. `parameterized_name` names it in addresses."""

    name = models.CharField(max_length=100)
    parameterized_name = models.CharField(max_length=100, unique=True, validators=[PARAMETERIZED])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in an organization. It opens no flow by itself: see FlowMembership."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    admin = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="one_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class ApiToken(models.Model):
    """A person's own key to the API, sent as the user name of Basic authentication. Opens all that the person may.

    Create with `ApiToken.issue(user, name)`, which returns the row and the token: the only time it is seen.
    Revoke by deleting the row.
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


class EmailChange(models.Model):
    """A new e-mail address of a person, until the link that was sent to it is opened.

    Belongs to `flowdock_server.people.email_changes`.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="email_change")
    email = models.EmailField()
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    requested_at = models.DateTimeField(editable=False)

    def __str__(self) -> str:
        return f"{self.user} to {self.email}"


class SignInFailures(models.Model):
    """How often a password was wrong in a row, for one account, from one address, or for one account from an address
    where it was right before: `key` is a digest of which.

    Belongs to `flowdock_server.people.sign_in`.
    """

    key = models.CharField(primary_key=True, max_length=64, editable=False)
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.last_at}"
