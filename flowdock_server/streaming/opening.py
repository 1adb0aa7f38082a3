"""Requests for a stream, checked before the stream starts.

A request is handled as an ordinary API call: with the REST API's keys, scopes, errors, CORS and spellings of paths. The
response has the stream's headers, no body, and an Opening, from which `asgi.py` starts the stream.
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
    """A stream that is allowed to start.

    `positions` says where: by key (`flow_key`, `conversation_key`), the number of the last message before it. A stream
    that is `resumed` may start far back. `key` identifies the token that was sent, by its model's name and its id, or
    the password (`store.password_key`).
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
    """The response with the headers of a stream and its Opening."""

    def __init__(self, opening: Opening) -> None:
        super().__init__((), content_type=EVENT_STREAM if opening.as_events else "application/json")
        self.opening = opening
        self["Cache-Control"] = "no-store, no-transform"  # a compressing proxy would buffer it
        self["X-Accel-Buffering"] = "no"  # nginx would buffer it


def flow_key(flow_id: UUID) -> str:
    """The first part of the flow's id: enough to tell the flows of one stream apart."""
    return flow_id.hex[:12]


def conversation_key(conversation_id: int) -> str:
    return f"p{conversation_id}"


def conversation_id_of(key: str) -> int:
    return int(key.removeprefix("p"))


def is_conversation(key: str) -> bool:
    return key.startswith("p")  # not a hexadecimal digit


def _names(value: Any) -> Any:
    """Names that are separated by commas, or given as a list."""
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


class StreamParameters(BaseModel):
    """Parameters of a stream.

    `filter`                  flows: ids, `organization/flow` or `organization:flow`
    `user`                    whether to include the caller's private messages
    `active`                  how others see the caller: "true" (active), "idle", or offline if it is absent
    `presence`                0 leaves out how the caller sees others
    `accept`, `lastEventId`   in place of the headers `Accept` and `Last-Event-ID`, for clients that cannot set them
    """

    filter: Annotated[list[str], BeforeValidator(_names)] = Field(default_factory=list)
    user: Flag = False
    active: Annotated[Literal["", "idle", "true"], BeforeValidator(_activity)] = ""
    presence: Flag = True
    accept: str = ""
    last_event_id: Annotated[str, BeforeValidator(_text), Field(alias="lastEventId")] = ""


# Not part of /openapi.json, since its paths are also the REST API's.
router = Router()
METHODS = ["GET", "HEAD"]


@router.api_operation(METHODS, "/flows", auth=person("flow", "private"))
def stream(request: HttpRequest, parameters: Annotated[StreamParameters, Merged(...)]) -> HttpResponseBase:
    """Stream the messages of the flows in `filter` and, with `user=1`, the caller's private messages."""
    if not parameters.filter and not parameters.user:
        raise Rejected({"filter": ["can't be blank"]})
    return _open(request, parameters, parameters.filter)


@router.api_operation(METHODS, "/flows/{organization}/{flow}", auth=person("flow"))
def stream_of_flow(
    request: HttpRequest, organization: str, flow: str, parameters: Annotated[StreamParameters, Merged(...)]
) -> HttpResponseBase:
    """Stream the messages of one flow."""
    return _open(request, parameters, [f"{organization}/{flow}", *parameters.filter])


def _open(request: HttpRequest, parameters: StreamParameters, names: list[str]) -> HttpResponseBase:
    caller: Caller = request.auth  # type: ignore[attr-defined]
    if caller.user is None:
        raise Http404
    if names and not caller.may("flow"):
        raise Forbidden("This request requires the scope flow")
    if parameters.user and not caller.may("private"):
        raise Forbidden("This request requires the scope private")
    flows = _flows(caller, names)
    now = {flow_key(flow.pk): flow.last_number for flow in flows}
    if parameters.user:
        conversations = Conversation.objects.of(caller.user).values_list("pk", "last_number")
        now |= {conversation_key(pk): number for pk, number in conversations}
    as_events = EVENT_STREAM in (parameters.accept or request.headers.get("Accept", ""))
    positions = None
    if as_events:
        positions = _resumed(now, (request.headers.get("Last-Event-ID") or parameters.last_event_id).strip())
    return OpeningResponse(
        Opening(
            user_id=caller.user.pk,
            key=(type(caller.key).__name__, caller.key.pk) if caller.key else store.password_key(caller.user),
            flows={flow_key(flow.pk): flow.pk for flow in flows},
            private=parameters.user,
            positions=now if positions is None else positions,
            resumed=positions is not None,
            as_events=as_events,
            presence=parameters.presence,
            active=parameters.active,
        )
    )


def _flows(caller: Caller, names: list[str]) -> list[Flow]:
    """The flows with these names, in one query. Raises Http404 unless the caller is a member of all of them."""
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
    """The positions to resume from. `last_seen` is the id of the last event that the client received (`event_id`).

    None if it is not such an id, or from another server or other flows: the stream then starts now, since a browser's
    EventSource would never try again after an error. A new conversation is sent from its beginning; a flow that was not
    part of the stream before, from now on.
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
    # At most the current number: with a larger one, the stream would stay silent until that number is reached.
    return {key: min(then.get(key, 0 if is_conversation(key) else number), number) for key, number in now.items()}


def event_id(positions: dict[str, int]) -> str:
    """The id of an event: the message's number if the stream has one flow only, otherwise the numbers by key."""
    if len(positions) == 1:
        ((key, number),) = positions.items()
        if not is_conversation(key):
            return str(number)
    return ",".join(f"{key}:{number}" for key, number in positions.items())


api = NinjaAPI(title="Flowdock streams", urls_namespace="streams", docs_url=None, openapi_url=None)
errors.register(api)
api.add_router("", router)
