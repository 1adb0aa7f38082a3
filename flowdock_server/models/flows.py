from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from .people import PARAMETERIZED, Organization, User


class FlowQuerySet(models.QuerySet["Flow"]):
    def open_to(self, user: User) -> FlowQuerySet:
        """The flows that `user` is in: the only ones they can read, post to or connect."""
        return self.filter(memberships__user=user)


class Flow(models.Model):
    """A team's workspace: chat and team inbox.

    Pages and API look a flow up through `Flow.objects.open_to(user)`, so that a flow one is not in does not exist.
    `last_number` is the number of its latest message: messages are numbered within their flow.
    """

    class AccessMode(models.TextChoices):
        INVITATION = "invitation", "By invitation"
        LINK = "link", "By link"
        ORGANIZATION = "organization", "Anyone in the organization"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="flows")
    name = models.CharField(max_length=100)
    parameterized_name = models.CharField(max_length=100, validators=[PARAMETERIZED])
    access_mode = models.CharField(max_length=12, choices=AccessMode, default=AccessMode.INVITATION)
    last_number = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    members = models.ManyToManyField(User, through="FlowMembership", related_name="flows")

    objects = FlowQuerySet.as_manager()

    class Meta:
        ordering = ["organization__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "parameterized_name"], name="one_flow_per_address"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Its page. Needs `organization`: select_related it in lists."""
        return f"/app/{self.organization.parameterized_name}/{self.parameterized_name}"

    @property
    def web_url(self) -> str:
        return settings.SERVER_URL + self.get_absolute_url()

    @property
    def url(self) -> str:
        """Its address in the API."""
        return f"{settings.SERVER_URL}/flows/{self.organization.parameterized_name}/{self.parameterized_name}"


class FlowMembership(models.Model):
    """What opens a flow to a person."""

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="flow_memberships")
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["flow", "user"], name="one_flow_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} in {self.flow}"
