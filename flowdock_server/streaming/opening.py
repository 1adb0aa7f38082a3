"""Who asks for which stream, checked before it begins.

An ordinary call: keys, scopes, errors, CORS and the spellings of addresses are the REST API's. Its answer has the
stream's headers and no body; `asgi.py` finds the Opening on it and goes on from there.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from ninja import NinjaAPI, Router
from pydantic import BaseModel, BeforeValidator, Field

from flowdock_server.api import errors
from flowdock_server.api.auth import Caller, person
from flowdock_server.api.errors import Forbidden
from flowdock_server.models import Conversation, Flow
from flowdock_server.parsing.params import Merged
from flowdock_server.posting.drafts import Rejected

from . import store

EVENT_STREAM = "text/event-stream"
_NUMBER = re.compile(r"\A[0-9]{1,18}\Z")
_POSITION = re.compile(r"\A[0-9a-z]{1,20}:[0-9]{1,18}\Z")


@dataclass(frozen=True)
class Opening:
    """A stream that may begin.

    `positions` says from where: by key (`flow_key`, `conversation_key`) the number of the last message before it, which
    may be long past where the stream is `resumed`. `key` is the token that was shown, as its model's name and its id,
    or stands for the password (`store.password_key`).
    """

    user_id: int
    key: tuple[str, Any]
    flows: dict[str, UUID]
    private: bool
    positions: dict[str, int]
    resumed: bool
    as_events: bool
    presence: bool
    active: Literal["", "idle", "true"]


class OpeningResponse(StreamingHttpResponse):
    """The headers of a stream."""

    def __init__(self, opening: Opening) -> None:
        super().__init__((), content_type=EVENT_STREAM if opening.as_events else "application/json")
        self.opening = opening
        self["Cache-Control"] = "no-store, no-transform"  # compressed, it would wait for more to compress
        self["X-Accel-Buffering"] = "no"  # a proxy that collects it would hold it back for ever


def flow_key(flow_id: UUID) -> str:
    """Enough of its id to tell the flows of one stream apart."""
    return flow_id.hex[:12]


def conversation_key(conversation_id: int) -> str:
    return f"p{conversation_id}"


def conversation_id_of(key: str) -> int:
    return int(key.removeprefix("p"))


def is_conversation(key: str) -> bool:
    return key.startswith("p")  # which no hexadecimal digit is


def _names(value: Any) -> Any:
    """Several are separated by commas, or given as a list."""
    if isinstance(value, str):
        value = value.split(",")
    return [name.strip() for name in value if isinstance(name, str) and name.strip()] if isinstance(value, list) else []


def _activity(value: Any) -> Any:
    value = str(value).strip().lower()
    return {"1": "true", "yes": "true", "0": "", "no": "", "false": "", "offline": ""}.get(value, value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _flag(value: Any) -> Any:
    return False if value == "" else value


Flag = Annotated[bool, BeforeValidator(_flag)]


class Asked(BaseModel):
    """What a stream is to hold: flows (`filter`: ids, `organization/flow`, `organization:flow`), private messages.

    `active` is how its user is shown to others: at work, idle, or (absent) not at all. `presence=0` asks not to be
    told the same of them. `accept` and `lastEventId` are the headers `Accept` and `Last-Event-ID`, for clients that
    cannot set them.
    """

    filter: Annotated[list[str], BeforeValidator(_names)] = Field(default_factory=list)
    user: Flag = False
    active: Annotated[Literal["", "idle", "true"], BeforeValidator(_activity)] = ""
    presence: Flag = True
    accept: str = ""
    last_event_id: Annotated[str, BeforeValidator(_text), Field(alias="lastEventId")] = ""


# Described nowhere: its paths are the REST API's, with other answers.
router = Router()
METHODS = ["GET", "HEAD"]


@router.api_operation(METHODS, "/flows", auth=person("flow", "private"))
def stream(request: HttpRequest, asked: Annotated[Asked, Merged(...)]) -> HttpResponseBase:
    """What happens in the flows that `filter` names, and with `user=1` the caller's private messages."""
    if not asked.filter and not asked.user:
        raise Rejected({"filter": ["can't be blank"]})
    return _open(request, asked, asked.filter)


@router.api_operation(METHODS, "/flows/{organization}/{flow}", auth=person("flow"))
def stream_of_flow(
    request: HttpRequest, organization: str, flow: str, asked: Annotated[Asked, Merged(...)]
) -> HttpResponseBase:
    """What happens in one flow."""
    return _open(request, asked, [f"{organization}/{flow}", *asked.filter])


def _open(request: HttpRequest, asked: Asked, names: list[str]) -> HttpResponseBase:
    caller: Caller = request.auth  # type: ignore[attr-defined]
    if caller.user is None:
        raise Http404
    if names and not caller.may("flow"):
        raise Forbidden("This needs the scope flow")
    if asked.user and not caller.may("private"):
        raise Forbidden("This needs the scope private")
    flows = _flows(caller, names)
    now = {flow_key(flow.pk): flow.last_number for flow in flows}
    if asked.user:
        conversations = Conversation.objects.of(caller.user).values_list("pk", "last_number")
        now |= {conversation_key(pk): number for pk, number in conversations}
    as_events = EVENT_STREAM in (asked.accept or request.headers.get("Accept", ""))
    positions = None
    if as_events:
        positions = _resumed(now, (request.headers.get("Last-Event-ID") or asked.last_event_id).strip())
    return OpeningResponse(
        Opening(
            user_id=caller.user.pk,
            key=(type(caller.key).__name__, caller.key.pk) if caller.key else store.password_key(caller.user),
            flows={flow_key(flow.pk): flow.pk for flow in flows},
            private=asked.user,
            positions=now if positions is None else positions,
            resumed=positions is not None,
            as_events=as_events,
            presence=asked.presence,
            active=asked.active,
        )
    )


def _flows(caller: Caller, names: list[str]) -> list[Flow]:
    """Those that are named, in one query. Http404 when the caller is not in each of them."""
    if not names or caller.user is None:
        return []
    flows: dict[str, Flow] = {}
    for flow in Flow.objects.open_to(caller.user).select_related("organization"):
        address = f"{flow.organization.parameterized_name}/{flow.parameterized_name}"
        flows |= {str(flow.pk): flow, address: flow}
    wanted = [name.lower() if _is_uuid(name) else name.replace(":", "/") for name in names]
    if not all(name in flows for name in wanted):
        raise Http404
    return list({flows[name].pk: flows[name] for name in wanted}.values())


def _is_uuid(name: str) -> bool:
    return len(name) == 36 and name.count("-") == 4


def _resumed(now: dict[str, int], last_seen: str) -> dict[str, int] | None:
    """From where a stream goes on: `last_seen` is the id of the last event that its reader has (`event_id`).

    None for what is not such an id, as one of another server or another set of flows: the stream begins now. A
    browser's EventSource would never try again after an error. A conversation that was not there yet is told from its
    beginning; a flow that was not asked for then, from now on.
    """
    flows = [key for key in now if not is_conversation(key)]
    if len(flows) == 1 and _NUMBER.match(last_seen):
        last_seen = f"{flows[0]}:{last_seen}"
    parts = last_seen.split(",")
    if not all(_POSITION.match(part) for part in parts):
        return None
    then = {key: int(number) for key, _, number in (part.partition(":") for part in parts)}
    if then.keys().isdisjoint(now):
        return None
    # No further than what there is: else a stream would be silent until as many messages have come.
    return {key: min(then.get(key, 0 if is_conversation(key) else number), number) for key, number in now.items()}


def event_id(positions: dict[str, int]) -> str:
    """Up to where a stream was told: the message's number where there is one flow, else that of every flow."""
    if len(positions) == 1:
        ((key, number),) = positions.items()
        if not is_conversation(key):
            return str(number)
    return ",".join(f"{key}:{number}" for key, number in positions.items())


api = NinjaAPI(title="Flowdock streams", urls_namespace="streams", docs_url=None, openapi_url=None)
errors.register(api)
api.add_router("", router)
