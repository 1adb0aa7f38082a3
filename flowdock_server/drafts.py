"""What may be posted to a flow: read and checked, before it is anybody's message.

Flowdock's field names. Errors are pydantic's; `flowdock_server.api.errors` words them as Flowdock did.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_CONTENT = 8096  # characters of a chat message: Flowdock's own limit
MAX_TITLE = 10_000
MAX_BODY = 1_000_000
MAX_FIELDS = 100

COLORS = ("red", "green", "yellow", "cyan", "orange", "grey", "black", "lime", "purple", "blue")
INBOX_EVENTS = ("activity", "discussion")


BLANK = "can't be blank"


class Rejected(Exception):
    """The draft cannot be posted: `errors` maps its fields, dotted where nested, to lists of reasons."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


def _none_is_empty(value: Any) -> Any:
    """JSON's null, which clients send for a text that they do not have."""
    return "" if value is None else value


def _none_is_no_entry(value: Any) -> Any:
    return [] if value is None else value


def _web_address(value: Any) -> Any:
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not value.lower().startswith(("http://", "https://")):
        raise PydanticCustomError("address", "must begin with http:// or https://")
    return value


def _tags(value: Any) -> Any:
    """A list, or a text with commas. A leading # is optional; case is kept, and compared without."""
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, list):
        tags = [tag.strip().removeprefix("#") if isinstance(tag, str) else tag for tag in value]
        return [tag for tag in tags if tag != ""]
    return value


Name = Annotated[str, Field(max_length=255), BeforeValidator(_none_is_empty)]
Line = Annotated[str, Field(max_length=MAX_TITLE), BeforeValidator(_none_is_empty)]
Html = Annotated[str, Field(max_length=MAX_BODY), BeforeValidator(_none_is_empty)]
Content = Annotated[str, Field(max_length=MAX_CONTENT), BeforeValidator(_none_is_empty)]
Address = Annotated[str, Field(max_length=2000), BeforeValidator(_web_address)]
Tags = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100), BeforeValidator(_tags)]


class Shape(BaseModel):
    # Forms have texts only and JSON has numbers: both are texts where a text is meant. What is unknown is let be,
    # since newer clients send more than older servers know.
    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore", frozen=True)


class Author(Shape):
    """Who did it, in the outside service."""

    name: Name = ""
    email: Name = ""
    avatar: Address = ""


class Status(Shape):
    value: Name = ""
    color: Annotated[Literal[("", *COLORS)], BeforeValidator(_none_is_empty)] = ""  # type: ignore[valid-type]


class ThreadField(Shape):
    label: Name
    value: Line = ""


class ThreadState(Shape):
    """The whole new state of a thread: what is absent is empty from now on."""

    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE), BeforeValidator(_none_is_empty)]
    body: Html = ""
    external_url: Address = ""
    status: Status | None = None
    fields: Annotated[list[ThreadField], Field(max_length=MAX_FIELDS), BeforeValidator(_none_is_no_entry)] = []
    actions: Annotated[list[dict[str, Any]], Field(max_length=MAX_FIELDS), BeforeValidator(_none_is_no_entry)] = []


class Draft(Shape):
    """A message to be posted.

    `activity` and `discussion` need a title, an author's name and a thread; `message` and `comment` need content,
    and a comment also the number of the message it is about.
    """

    event: Literal["activity", "discussion", "message", "comment"]
    title: Line = ""
    body: Html = ""
    author: Author | None = None
    content: Content = ""
    external_user_name: Name = ""
    tags: Tags = []
    uuid: Name = ""
    thread_id: Name = ""
    external_thread_id: Name = ""
    thread: ThreadState | None = None
    message: Annotated[int | None, Field(ge=0, le=2**62)] = None
    attachments: Annotated[list[Any] | dict[str, Any] | None, Field(description="Not supported yet")] = None

    @property
    def belongs_in_inbox(self) -> bool:
        return self.event in INBOX_EVENTS

    def check(self) -> None:
        """Raise Rejected for what its event needs and it does not have."""
        needed: dict[str, object] = {}
        if self.belongs_in_inbox:
            needed = {"title": self.title, "author.name": self.author and self.author.name}
        else:
            needed = {"content": self.content}
            if self.event == "comment":
                needed["message"] = self.message is not None and "present"
        errors = {name: [BLANK] for name, value in needed.items() if not (isinstance(value, str) and value.strip())}
        if self.attachments:
            # To drop them silently would lose what the sender believes to be stored.
            errors["attachments"] = ["are not supported by this server yet"]
        if errors:
            raise Rejected(errors)
