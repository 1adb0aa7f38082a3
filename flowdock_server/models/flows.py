from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypedDict, cast

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.dispatch import receiver
from django.utils import timezone

from flowdock_server.live import Broadcast, hub
from flowdock_server.secrets.tokens import digest, new_token

from .people import PARAMETERIZED, Membership, Organization, User

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

    CountedFlow = WithAnnotations["Flow", "UserCount"]


class UserCount(TypedDict):
    user_count: int


class FlowQuerySet(models.QuerySet["Flow"]):
    def open_to(self, user: User) -> FlowQuerySet:
        """The flows of which `user` is a member and not blocked. They can read, post to and connect only these."""
        return self.filter(memberships__user=user, memberships__disabled=False)

    def joinable_by(self, user: User) -> FlowQuerySet:
        """The flows that `user` is not a member of and may join without an invitation."""
        inside = Membership.objects.filter(user=user).values("organization")
        mode = Flow.AccessMode.ORGANIZATION
        return self.filter(organization__in=inside, access_mode=mode, disabled=False).exclude(memberships__user=user)

    def not_archived(self) -> FlowQuerySet:
        return self.filter(disabled=False)

    def with_user_count(self) -> models.QuerySet[CountedFlow]:
        """Flows with `user_count`: how many members their organization has."""
        counted = (
            Membership.objects.filter(organization=models.OuterRef("organization"))
            .order_by()
            .values("organization")
            .annotate(members=models.Count("*"))
        )
        flows = self.annotate(user_count=Coalesce(models.Subquery(counted.values("members")), 0))
        return cast("models.QuerySet[CountedFlow]", flows)

    def with_members(self) -> FlowQuerySet:
        """Flows with their memberships and users, ordered by the id of the user."""
        members = FlowMembership.objects.select_related("user").order_by("user_id")
        return self.prefetch_related(models.Prefetch("memberships", members))


class Flow(models.Model):
    """A team's workspace: chat and team inbox.

    Pages and the API look up flows with `Flow.objects.open_to(user)`, so that other flows do not exist for the user.
    `last_number` is the number of the flow's latest message; messages are numbered within their flow. The key of the
    invite link is made from `join_nonce`; changing it disables the link. A flow that is `disabled` is archived and
    read-only.
    """

    class AccessMode(models.TextChoices):
        INVITATION = "invitation", "Invited people only"
        LINK = "link", "Anyone with the link"
        ORGANIZATION = "organization", "Anyone in the organization"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="flows")
    name = models.CharField(max_length=100)
    parameterized_name = models.CharField(max_length=100, validators=[PARAMETERIZED])
    access_mode = models.CharField(max_length=12, choices=AccessMode, default=AccessMode.INVITATION)
    disabled = models.BooleanField(default=False, help_text="Archived: members can read it, and nobody can post")
    # None and not "" if there is none, because it is unique.
    api_token_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    join_nonce = models.CharField(max_length=32, default=new_token, editable=False)
    last_number = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    members = models.ManyToManyField(User, through="FlowMembership", related_name="flows")

    objects = FlowQuerySet.as_manager()

    # Of the reader of a page, as `flowdock_server.pages` sets them.
    membership: FlowMembership
    unread: int
    unread_threads: int
    unread_messages: int

    class Meta:
        ordering = ["organization__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "parameterized_name"], name="one_flow_per_address"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The path of its page. Select `organization` in lists."""
        return f"/app/{self.organization.parameterized_name}/{self.parameterized_name}"

    @property
    def web_url(self) -> str:
        return settings.SERVER_URL + self.get_absolute_url()

    @property
    def url(self) -> str:
        """Its URL in the API."""
        return f"{settings.SERVER_URL}/flows/{self.organization.parameterized_name}/{self.parameterized_name}"

    def issue_api_token(self) -> str:
        """Replace the flow's token for the Push API and return the new one, which cannot be read again."""
        token = new_token()
        self.api_token_digest = digest(token)
        self.save(update_fields=["api_token_digest"])
        return token


class FlowMembershipQuerySet(models.QuerySet["FlowMembership"]):
    def not_blocked(self) -> FlowMembershipQuerySet:
        """Memberships of those who are not blocked in the flow."""
        return self.filter(disabled=False)

    def active(self) -> FlowMembershipQuerySet:
        """Memberships of those who are blocked neither in the flow nor everywhere."""
        return self.not_blocked().filter(user__is_active=True)


class FlowMembership(models.Model):
    """Makes a person a member of a flow.

    `open` is whether the person has the flow open. A member who is `disabled` is blocked and can neither read nor post.
    `last_read_number` is the number of the latest chat message that they have seen, `inbox_read_number` the number up
    to which they have seen the whole inbox; a ThreadMark has the number for one thread. Messages from before they
    joined count as read.
    """

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="flow_memberships")
    open = models.BooleanField(default=True)
    disabled = models.BooleanField(default=False)
    last_read_number = models.BigIntegerField(default=0)
    inbox_read_number = models.BigIntegerField(default=0)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FlowMembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["flow", "user"], name="one_flow_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} in {self.flow}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        is_new = self._state.adding
        if is_new and not self.last_read_number:
            self.last_read_number = self.inbox_read_number = self.flow.last_number
        super().save(*args, **kwargs)
        if is_new or "disabled" in (kwargs.get("update_fields") or ()):
            self.publish(is_in=not self.disabled)

    def mark_chat_read(self, number: int) -> None:
        """The member has seen the chat up to the message `number`, at most up to the latest. Never moves back."""
        number = min(number, self.flow.last_number)
        if number > self.last_read_number:
            # By a query, so that a page that was opened earlier does not undo what a later one has written.
            rows = FlowMembership.objects.filter(pk=self.pk, last_read_number__lt=number)
            rows.update(last_read_number=number)

    def mark_inbox_read(self, number: int) -> None:
        """The member has seen the inbox up to the message `number`, at most up to the latest."""
        self.inbox_read_number = min(number, self.flow.last_number)
        self.save(update_fields=["inbox_read_number"])

    def publish(self, *, is_in: bool) -> None:
        """Notify the streams of the flow and all streams of the person. Bots then load their flows again."""
        _publish(Broadcast(self.flow_id, "join" if is_in else "leave", user_id=self.user_id))
        kind = "flow-add" if is_in else "flow-remove"
        _publish(Broadcast(None, kind, user_id=self.user_id, about=str(self.flow_id)))


@receiver(models.signals.post_delete, sender=FlowMembership)
def _publish_removal(instance: FlowMembership, **kwargs: Any) -> None:
    # A signal, since memberships are mostly deleted by a query or together with their user.
    instance.publish(is_in=False)


@receiver(models.signals.post_save, sender=User)
def _publish_new_name(
    instance: User, created: bool, update_fields: frozenset[str] | None = None, **kwargs: Any
) -> None:
    if created or not (update_fields is None or update_fields & {"name", "nick", "avatar", "website"}):
        return
    for flow_id in Flow.objects.open_to(instance).order_by().values_list("pk", flat=True):
        _publish(Broadcast(flow_id, "user-edit", user_id=instance.pk))


def _publish(broadcast: Broadcast) -> None:
    transaction.on_commit(lambda: hub.publish(broadcast))


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def pending(self) -> InvitationQuerySet:
        """Invitations that nobody has accepted yet."""
        return self.filter(state=Invitation.State.PENDING)


class Invitation(models.Model):
    """An invitation to a flow by e-mail. `email` is in lower case.

    Create it with `Invitation.issue(...)`, which returns it and the token for the link, which cannot be read again.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        ACCEPTED = "accepted"

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    message = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="invitations")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "email"],
                condition=models.Q(state="pending"),
                name="one_pending_invitation_per_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.flow}"

    @classmethod
    @transaction.atomic
    def issue(cls, *, flow: Flow, email: str, invited_by: User | None, message: str = "") -> tuple[Invitation, str]:
        """Invite `email`. If there is already a pending invitation, its token is replaced."""
        token = new_token()
        invitation, _ = cls.objects.update_or_create(
            flow=flow,
            email=email.strip().lower(),
            state=cls.State.PENDING,
            defaults={"token_digest": digest(token), "invited_by": invited_by, "message": message},
        )
        return invitation, token

    @transaction.atomic
    def accept(self, user: User) -> None:
        """Add `user` to the flow and its organization. Existing memberships do not change: blocked is still blocked."""
        Membership.objects.get_or_create(organization=self.flow.organization, user=user)
        FlowMembership.objects.get_or_create(flow=self.flow, user=user)
        self.state, self.accepted_at = self.State.ACCEPTED, timezone.now()
        self.save(update_fields=["state", "accepted_at"])
