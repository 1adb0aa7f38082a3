"""Drafts: messages to be posted, parsed and validated.

Fields have Flowdock's names. Errors are pydantic's; `flowdock_server.api.errors` converts them to Flowdock's sentences.
"""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from django.core.files.uploadedfile import UploadedFile
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError

from flowdock_server.models import Thread
from flowdock_server.models.messages import INBOX_EVENTS
from flowdock_server.parsing import strict_json
from flowdock_server.parsing.empty_values import none_is_empty, none_is_no_entry
from flowdock_server.parsing.numbers import LARGEST
from flowdock_server.parsing.storable import is_storable

MAX_CONTENT = 8096  # characters of a chat message: Flowdock's own limit
MAX_TITLE = 10_000
MAX_BODY = 1_000_000
MAX_FIELDS = 100

ACTION_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
COLORS = tuple(Thread.Color.values)
ACTIVITY_EVENTS = ("activity", "discussion")
# Events with a text in which people can write hashtags, mentions and links.
SPOKEN_EVENTS = ("message", "comment", "status")

BLANK = "can't be blank"


class Rejected(Exception):
    """The draft cannot be posted: `errors` maps its fields, dotted where nested, to lists of reasons."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


class Refused(Exception):
    """The caller may not do this, whatever the parameters are. The message says why."""


def check_content(content: str) -> None:
    """Raise Rejected if a message's content cannot be changed to this."""
    if not content.strip():
        raise Rejected({"content": [BLANK]})
    if len(content) > MAX_CONTENT:
        raise Rejected({"content": [f"is too long (maximum is {MAX_CONTENT} characters)"]})


def _web_address(value: Any) -> Any:
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not value.lower().startswith(("http://", "https://")):
        raise PydanticCustomError("address", "must begin with http:// or https://")
    return value


def is_web_address(address: Any) -> bool:
    """Whether `address` is an http(s) URL that can be linked to or called."""
    if not isinstance(address, str) or len(address) > 2000 or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _action(value: dict[str, Any]) -> dict[str, Any]:
    """A schema.org action. The URLs of ViewAction and UpdateAction must be valid; other actions are not checked."""
    match value.get("@type"):
        case "ViewAction":
            if not is_web_address(value.get("url")):
                raise PydanticCustomError("action", "url must be a URL that begins with http:// or https://")
        case "UpdateAction":
            target = value.get("target")
            if not isinstance(target, dict) or not is_web_address(target.get("urlTemplate")):
                raise PydanticCustomError(
                    "action", "target.urlTemplate must be a URL that begins with http:// or https://"
                )
            if target.get("httpMethod", "POST") not in ACTION_METHODS:
                raise PydanticCustomError("action", f"target.httpMethod must be one of {', '.join(ACTION_METHODS)}")
    return value


def _content(value: Any) -> Any:
    """A text; or, for the event `file`, a file of a form or an object."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and len(value) > MAX_CONTENT:
        raise PydanticKnownError("string_too_long", {"max_length": MAX_CONTENT})
    if not isinstance(value, str | dict | UploadedFile):
        raise PydanticCustomError("content", "must be a string or a file")
    return value


def _files(value: Any) -> Any:
    if value is not None and not isinstance(value, dict | list | UploadedFile):
        raise PydanticCustomError("attachments", "must be files")
    return value


def _json_list(text: str) -> list[Any] | None:
    """The list in `text`, if it is JSON, as forms may send it; otherwise None."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = strict_json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _storable(value: str) -> str:
    """Check a tag again: one from a JSON list in a form may have been escaped when the parameters were checked."""
    if not is_storable(value):
        raise PydanticCustomError("characters", "contains a character that cannot be stored")
    return value


def _tags(value: Any) -> Any:
    """A list, or a text with commas. A leading # is optional. Case is kept, but ignored in comparisons."""
    if value is None:
        return []
    if isinstance(value, str):
        value = _json_list(value) or value.split(",")
    if isinstance(value, list):
        tags = [tag.strip().removeprefix("#") if isinstance(tag, str) else tag for tag in value]
        return [tag for tag in tags if tag != ""]
    return value


Name = Annotated[str, Field(max_length=255), BeforeValidator(none_is_empty)]
Line = Annotated[str, Field(max_length=MAX_TITLE), BeforeValidator(none_is_empty)]
Html = Annotated[str, Field(max_length=MAX_BODY), BeforeValidator(none_is_empty)]
FILE_SCHEMA = {
    "type": "object",
    "properties": {
        "data": {"type": "string", "contentEncoding": "base64"},
        "content_type": {"type": "string"},
        "file_name": {"type": "string"},
    },
    "required": ["data"],
}
Content = Annotated[
    Any,
    PlainValidator(_content),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": MAX_CONTENT}, FILE_SCHEMA]}),
]
Files = Annotated[
    Any,
    PlainValidator(_files),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": FILE_SCHEMA}, {"type": "null"}]}),
]
Address = Annotated[str, Field(max_length=2000), BeforeValidator(_web_address)]
Action = Annotated[dict[str, Any], AfterValidator(_action)]
Tag = Annotated[str, Field(max_length=100), AfterValidator(_storable)]
Tags = Annotated[list[Tag], Field(max_length=100), BeforeValidator(_tags)]


class Shape(BaseModel):
    # Forms have strings only, while JSON may have a number where a string is expected. Unknown fields are ignored,
    # since newer clients may send more than this server knows.
    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore", frozen=True)


class Author(Shape):
    """The author, in the external service."""

    name: Name = ""
    email: Name = ""
    avatar: Address = ""


class Status(Shape):
    value: Name = ""
    color: Annotated[Literal[("", *COLORS)], BeforeValidator(none_is_empty)] = ""  # type: ignore[valid-type]


class ThreadField(Shape):
    label: Name
    value: Line = ""


class ThreadState(Shape):
    """The whole new state of a thread: an absent field becomes empty."""

    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE), BeforeValidator(none_is_empty)]
    body: Html = ""
    external_url: Address = ""
    status: Status | None = None
    fields: Annotated[list[ThreadField], Field(max_length=MAX_FIELDS), BeforeValidator(none_is_no_entry)] = []
    actions: Annotated[list[Action], Field(max_length=MAX_FIELDS), BeforeValidator(none_is_no_entry)] = []


class Draft(Shape):
    """A message to be posted.

    `activity` and `discussion` require a title, the name of an author and a thread. They can have `attachments`: a list
    of files, or files by the names that the body refers to as cid:NAME. `message`, `comment` and `status` require
    `content`, and a comment the number of the message that it belongs to. The `content` of `file` is the file.
    """

    event: Literal["activity", "discussion", "message", "comment", "status", "file"]
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
    message: Annotated[int | None, Field(ge=0, le=LARGEST)] = None
    attachments: Files = None

    @property
    def belongs_in_inbox(self) -> bool:
        return self.event in INBOX_EVENTS

    @property
    def is_spoken(self) -> bool:
        return self.event in SPOKEN_EVENTS

    @property
    def data(self) -> dict[str, Any] | None:
        """The `data` of the message."""
        return None

    @property
    def own_tags(self) -> list[str]:
        """Tags that state a fact, which nobody can add or remove."""
        return []

    @property
    def opens_thread(self) -> bool:
        """Whether it always starts a new thread, without a key."""
        return False

    def check(self) -> None:
        """Raise Rejected if fields are missing that its event requires."""
        needed: dict[str, object] = {}
        if self.belongs_in_inbox:
            needed = {"title": self.title, "author.name": self.author and self.author.name}
        elif self.event == "file":
            needed = {"content": self.content and "present"}
        else:
            needed = {"content": self.content}
            if self.event == "comment":
                needed["message"] = self.message is not None and "present"
        errors = {name: [BLANK] for name, value in needed.items() if not (isinstance(value, str) and value.strip())}
        if self.event in SPOKEN_EVENTS and not isinstance(self.content, str):
            errors["content"] = ["must be a string"]
        if self.attachments and not self.belongs_in_inbox:
            errors["attachments"] = [f"can only be sent with {' and '.join(ACTIVITY_EVENTS)}"]
        if errors:
            raise Rejected(errors)


class Mail(Draft):
    """A message of the Push API to the inbox: `title` is the subject, `body` the content, `author` the sender."""

    event: Literal["mail"] = "mail"  # type: ignore[assignment]
    source: Name = ""
    project: Name = ""
    reply_to: Name = ""
    link: Address = ""

    @property
    def data(self) -> dict[str, Any]:
        return {"source": self.source, "project": self.project, "reply_to": self.reply_to, "link": self.link}

    @property
    def own_tags(self) -> list[str]:
        return [f":source:{'-'.join(self.source.lower().split())}"[:100]]

    @property
    def opens_thread(self) -> bool:
        return True
