"""The Push API: build tools post to a flow's inbox or chat with the flow's API token alone.

Flowdock deprecated it, but many scripts still use it. Several tokens, separated by commas, post to all of their flows.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from django.db import transaction
from django.http import HttpRequest
from ninja import Router
from ninja.errors import AuthenticationError
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from flowdock_server.models import Flow
from flowdock_server.parsing.empty_values import empty_is_none
from flowdock_server.parsing.numbers import LARGEST
from flowdock_server.parsing.params import Merged
from flowdock_server.posting import messages
from flowdock_server.posting.drafts import (
    Address,
    Author,
    Content,
    Draft,
    Html,
    Line,
    Mail,
    Name,
    Rejected,
    Shape,
    Tags,
    ThreadState,
)
from flowdock_server.secrets.tokens import digest

router = Router(tags=["push API"])

MAX_NAME = 255  # characters of `external_user_name` that are kept
MAX_FLOWS = 20  # that one request posts to


def _plain_name(value: str) -> str:
    # Flowdock's rule, and hyphens, which its own clients sent.
    if not re.fullmatch(r"[\w\s-]*", value):
        raise PydanticCustomError("name", "must contain only letters, digits, spaces, hyphens and underscores")
    return value


def _cut(value: Any) -> Any:
    return value[:MAX_NAME] if isinstance(value, str) else value


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise PydanticCustomError("email", "is not a valid e-mail address")
    return value


def _required(value: Any) -> Any:
    return "" if value is None else value.strip() if isinstance(value, str) else value


PlainName = Annotated[Name, AfterValidator(_plain_name)]
Email = Annotated[str, Field(max_length=255), AfterValidator(_email)]
REQUIRED = [BeforeValidator(_required), Field(min_length=1)]


class InboxPush(Shape):
    """A message like a mail. `source` names the program that sends it; `link` is what the subject links to."""

    source: Annotated[PlainName, *REQUIRED]
    from_address: Annotated[Email, *REQUIRED]
    subject: Annotated[Line, *REQUIRED]
    content: Annotated[Html, *REQUIRED]
    from_name: Name = ""
    reply_to: Annotated[Email | None, BeforeValidator(empty_is_none)] = None
    project: PlainName = ""
    format: Annotated[Literal["", "html"], BeforeValidator(_required)] = "html"
    tags: Tags = []
    link: Address = ""

    def draft(self) -> Draft:
        return Mail(
            title=self.subject,
            body=self.content,
            author=Author(name=self.from_name or self.from_address, email=self.from_address),
            tags=self.tags,
            source=self.source,
            project=self.project,
            reply_to=self.reply_to or "",
            link=self.link,
            thread=ThreadState(title=self.subject, body=self.content, external_url=self.link),
        )


class ChatPush(Shape):
    """A chat message under any name or, with `message_id`, a comment on that message."""

    content: Content = ""
    # Flowdock documented at most 16 characters without spaces, but did not enforce it.
    external_user_name: Annotated[str, BeforeValidator(_cut), *REQUIRED]
    tags: Tags = []
    message_id: Annotated[int | None, Field(ge=0, le=LARGEST), BeforeValidator(empty_is_none)] = None
    thread_id: Name = ""

    def draft(self) -> Draft:
        return Draft(
            event="message" if self.message_id is None else "comment",
            content=self.content,
            external_user_name=self.external_user_name,
            tags=self.tags,
            message=self.message_id,
            thread_id=self.thread_id,
        )


# The original path, which python-flowdock still uses.
@router.post("/messages/influx/{tokens}", auth=None, response=dict[str, Any], include_in_schema=False)
@router.post("/messages/team_inbox/{tokens}", auth=None, response=dict[str, Any], deprecated=True)
def push_to_inbox(request: HttpRequest, tokens: str, push: Annotated[InboxPush, Merged(...)]) -> dict[str, Any]:
    """Post a message with a subject and a sender to the inbox of one or more flows.

    `tokens` are the flows' API tokens; no other key is needed. If one of them is wrong, nothing is posted (401).
    """
    return _post(tokens, push.draft)


@router.post("/messages/chat/{tokens}", auth=None, response=dict[str, Any], deprecated=True)
def push_to_chat(request: HttpRequest, tokens: str, push: Annotated[ChatPush, Merged(...)]) -> dict[str, Any]:
    """Post a message under any name to the chat of one or more flows.

    `tokens` are the flows' API tokens; no other key is needed. If one of them is wrong, nothing is posted (401). With
    `message_id` it is a comment on that message.
    """
    try:
        return _post(tokens, push.draft)
    except Rejected as error:
        # The draft's field `message` is the parameter `message_id` here.
        raise Rejected(
            {name.replace("message", "message_id"): value for name, value in error.errors.items()}
        ) from error


def _post(tokens: str, draft: Callable[[], Draft]) -> dict[str, Any]:
    """Post to all of the flows or to none, so that a client can correct a mistake and send the request again."""
    flows = _flows(tokens)
    with transaction.atomic():
        for flow in flows:
            messages.post(draft(), flow=flow)
    return {}


def _flows(tokens: str) -> list[Flow]:
    """The flows of the tokens, always in the same order, so that two requests cannot deadlock."""
    digests = {digest(token.strip()) for token in tokens.split(",") if token.strip()}
    if not 0 < len(digests) <= MAX_FLOWS:
        raise AuthenticationError
    flows = list(Flow.objects.filter(api_token_digest__in=digests).order_by("pk"))
    if len(flows) < len(digests):
        raise AuthenticationError
    return flows
