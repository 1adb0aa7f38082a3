"""What streams read from the database, and write: in two threads of their own, which keep their connections."""

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

PAGE = 100  # messages that are read at once
PASSWORD = "password"  # noqa: S105  (a kind of key)
THREADS = 2
threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stream")

# A message's number and its line: itself as JSON, and the end of the line.
Told = tuple[int, bytes]
END = b"\r\n"


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    def connected() -> T:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        except Exception:
            connections.close_all()  # whatever state they are in
            raise

    return await asyncio.get_running_loop().run_in_executor(threads, connected)


def line(shape: Any) -> bytes:
    """In ASCII, as the REST API has it: nobody takes a character of a text for the end of the line."""
    return json.dumps(shape, cls=DjangoJSONEncoder, separators=(",", ":")).encode() + END


def flow_messages(flow_id: UUID, after: int, up_to: int | None = None) -> list[Told]:
    """The flow's next messages, in the order of their numbers: at most PAGE."""
    found = loaded(Message.objects.filter(flow_id=flow_id, number__gt=after))
    if up_to is not None:
        found = found.filter(number__lte=up_to)
    page = list(found.order_by("number")[:PAGE])
    return [(message.number, line(shape)) for message, shape in zip(page, message_shapes(page), strict=True)]


def allowed(flow_id: UUID, user_ids: Collection[int]) -> set[int]:
    """Those of `user_ids` who may read the flow, now."""
    members = FlowMembership.objects.filter(flow_id=flow_id, disabled=False, user__is_active=True, user_id__in=user_ids)
    return set(members.values_list("user_id", flat=True))


def places(flow_ids: Collection[UUID], user_ids: Collection[int]) -> set[tuple[UUID, int]]:
    """Which of the users may read which of the flows, now."""
    members = FlowMembership.objects.filter(flow_id__in=flow_ids, user_id__in=user_ids, disabled=False)
    return set(members.values_list("flow_id", "user_id"))


def flow_news(flow_id: UUID, after: int, user_ids: Collection[int]) -> tuple[list[Told], set[int]]:
    """What is new in the flow, and who may hear it."""
    # In this order: whoever was removed before a message was posted is not told it.
    news = flow_messages(flow_id, after)
    return news, allowed(flow_id, user_ids) if news else set()


def private_messages(user_id: int, conversation_id: int, after: int, up_to: int | None = None) -> list[Told]:
    """The next messages of a conversation that the user is one of the two of: at most PAGE."""
    either = Q(conversation__first=user_id) | Q(conversation__second=user_id)
    found = PrivateMessage.objects.filter(either, conversation=conversation_id, number__gt=after)
    if up_to is not None:
        found = found.filter(number__lte=up_to)
    page = found.select_related("conversation").prefetch_related("attachments").order_by("number")[:PAGE]
    return [(message.number, line(private_message_shape(message))) for message in page]


def conversations(user_ids: Collection[int]) -> list[tuple[int, int, int, int]]:
    """Those of the users: each with its id, its two users and the number of its latest message."""
    either = Q(first__in=user_ids) | Q(second__in=user_ids)
    return list(Conversation.objects.filter(either).values_list("pk", "first_id", "second_id", "last_number"))


def latest_numbers(flow_ids: Iterable[UUID]) -> dict[UUID, int]:
    return dict(Flow.objects.filter(pk__in=list(flow_ids)).values_list("pk", "last_number"))


def password_key(user: User) -> tuple[str, Any]:
    """What stands for the password that a user has now."""
    return PASSWORD, (user.pk, user.get_session_auth_hash())


def gone(keys: Collection[tuple[str, Any]]) -> set[tuple[str, Any]]:
    """Those of the keys that were revoked or have expired, and passwords that are others by now."""
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


def blocked(user_ids: Collection[int]) -> set[int]:
    """Those whose account is closed, or not there any more."""
    active = User.objects.filter(pk__in=user_ids, is_active=True).values_list("pk", flat=True)
    return set(user_ids) - set(active)
