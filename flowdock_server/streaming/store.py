"""Database queries of the streams. They run in two threads of their own, which keep their connections."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import close_old_connections, connections
from django.db.models import Q
from oauth2_provider.models import get_access_token_model

from flowdock_server.api.shapes import loaded, message_shapes, private_message_shape
from flowdock_server.models import ApiToken, Conversation, Flow, FlowMembership, Message, PrivateMessage, User

P = ParamSpec("P")
T = TypeVar("T")

PAGE = 100  # messages
PASSWORD = "password"  # noqa: S105  (a kind of key)
THREADS = 2
threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stream")

# A message's number, and its JSON with the end of the line.
NumberedLine = tuple[int, bytes]
END = b"\r\n"


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    def connected() -> T:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        except Exception:
            connections.close_all()  # they may be in any state
            raise

    return await asyncio.get_running_loop().run_in_executor(threads, connected)


def line(shape: Any) -> bytes:
    """`shape` as JSON in ASCII, as in the REST API, so that no character of a text passes for the end of a line."""
    return json.dumps(shape, cls=DjangoJSONEncoder, separators=(",", ":")).encode() + END


def flow_messages(flow_id: UUID, after: int, up_to: int | None = None) -> list[NumberedLine]:
    """The next messages of the flow, ordered by number: at most PAGE."""
    found = loaded(Message.objects.filter(flow_id=flow_id, number__gt=after))
    if up_to is not None:
        found = found.filter(number__lte=up_to)
    page = list(found.order_by("number")[:PAGE])
    return [(message.number, line(shape)) for message, shape in zip(page, message_shapes(page), strict=True)]


def readers_of_flow(flow_id: UUID, user_ids: Collection[int]) -> set[int]:
    """The users among `user_ids` who may currently read the flow."""
    members = FlowMembership.objects.active().filter(flow_id=flow_id, user_id__in=user_ids)
    return set(members.values_list("user_id", flat=True))


def memberships(flow_ids: Collection[UUID], user_ids: Collection[int]) -> set[tuple[UUID, int]]:
    """(flow id, user id) for all flows and users where the user is currently a member who is not blocked."""
    members = FlowMembership.objects.filter(flow_id__in=flow_ids, user_id__in=user_ids, disabled=False)
    return set(members.values_list("flow_id", "user_id"))


def new_flow_messages(flow_id: UUID, after: int, user_ids: Collection[int]) -> tuple[list[NumberedLine], set[int]]:
    """The flow's new messages, and the users among `user_ids` who may read them."""
    # In this order: somebody who was removed before a message was posted must not receive it.
    new = flow_messages(flow_id, after)
    return new, readers_of_flow(flow_id, user_ids) if new else set()


def private_messages(user_id: int, conversation_id: int, after: int, up_to: int | None = None) -> list[NumberedLine]:
    """The next messages of a private conversation of the user, ordered by number: at most PAGE."""
    either = Q(conversation__first=user_id) | Q(conversation__second=user_id)
    found = PrivateMessage.objects.filter(either, conversation=conversation_id, number__gt=after)
    if up_to is not None:
        found = found.filter(number__lte=up_to)
    page = found.select_related("conversation").prefetch_related("attachments").order_by("number")[:PAGE]
    return [(message.number, line(private_message_shape(message))) for message in page]


def conversations(user_ids: Collection[int]) -> list[tuple[int, int, int, int]]:
    """The users' private conversations: each with its id, the ids of its two users, and its latest message's number."""
    either = Q(first__in=user_ids) | Q(second__in=user_ids)
    return list(Conversation.objects.filter(either).values_list("pk", "first_id", "second_id", "last_number"))


def latest_numbers(flow_ids: Iterable[UUID]) -> dict[UUID, int]:
    return dict(Flow.objects.filter(pk__in=list(flow_ids)).values_list("pk", "last_number"))


def password_key(user: User) -> tuple[str, Any]:
    """Identifies the user's current password."""
    return PASSWORD, (user.pk, user.get_session_auth_hash())


def revoked_keys(keys: Collection[tuple[str, Any]]) -> set[tuple[str, Any]]:
    """The keys among `keys` that were revoked or have expired, or whose password was changed."""
    by_password = [value[0] for kind, value in keys if kind == PASSWORD]
    left = {password_key(user) for user in User.objects.filter(pk__in=by_password)} if by_password else set()
    for model in (ApiToken, get_access_token_model()):
        name = model.__name__
        ids = [pk for kind, pk in keys if kind == name]
        if not ids:
            continue
        found = model.objects.filter(pk__in=ids)
        left |= {(name, row.pk) for row in found if not (hasattr(row, "is_expired") and row.is_expired())}
    return set(keys) - left


def inactive_users(user_ids: Collection[int]) -> set[int]:
    """The users whose account was closed or deleted."""
    active = User.objects.filter(pk__in=user_ids, is_active=True).values_list("pk", flat=True)
    return set(user_ids) - set(active)
