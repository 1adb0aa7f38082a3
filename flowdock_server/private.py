"""What two people say to each other: the one way it is stored, and who may say what to whom."""

from django.db import transaction
from django.db.models import Q, QuerySet

from flowdock_server import members
from flowdock_server.drafts import Refused
from flowdock_server.live import Note, hub
from flowdock_server.messages import now, turn
from flowdock_server.models import Conversation, PrivateMessage, User


def partners(user: User) -> QuerySet[User]:
    """Those whom `user` can talk with: whoever they meet in a flow, and whoever has talked with them before."""
    met = Q(pk__in=members.visible_to(user).values("pk"))
    first = Q(pk__in=Conversation.objects.filter(second=user).values("first"))
    second = Q(pk__in=Conversation.objects.filter(first=user).values("second"))
    return User.objects.filter(met | first | second).exclude(pk=user.pk)


def say(content: str, *, by: User, to: User, uuid: str = "") -> PrivateMessage:
    """Store what `by` says, open the conversation on both sides, and tell the streams and pages of both.

    The same `uuid` from the same person again is the same message: the first is returned. Raises Refused for somebody
    whose account is closed.
    """
    if not to.is_active:
        raise Refused(f"{to.name} is not here any more")
    conversation = Conversation.between(by, to)
    with turn(), transaction.atomic():
        conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
        if uuid and (first := PrivateMessage.objects.filter(user=by, uuid=uuid).select_related("conversation").first()):
            return first
        number = conversation.last_number + 1
        message = PrivateMessage.objects.create(
            conversation=conversation, number=number, user=by, content=content, uuid=uuid or None, created_at=now()
        )
        conversation.last_number = number
        conversation.first_open = conversation.second_open = True
        side = conversation.side(by)
        setattr(conversation, f"{side}_read_number", number)
        conversation.save(update_fields=["last_number", "first_open", "second_open", f"{side}_read_number"])
        for user_id in (conversation.first_id, conversation.second_id):
            _tell(Note(None, "private", number, conversation_id=conversation.pk, user_id=user_id))
    return message


def _tell(note: Note) -> None:
    transaction.on_commit(lambda: hub.publish(note))
