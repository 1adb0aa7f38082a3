"""Users: the caller, and the people whom the caller shares flows with or manages."""

import re
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from ninja.errors import HttpError
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from flowdock_server.models import User
from flowdock_server.parsing.params import Merged
from flowdock_server.people import email_changes, members
from flowdock_server.posting.drafts import Rejected, Shape

from .auth import Person, PersonRequest, person
from .errors import Forbidden
from .shapes import ErrorShape, UserShape, user_shape

router = Router(tags=["users"])


def _email(value: str) -> str:
    try:
        validate_email(value)
    except ValidationError as error:
        raise PydanticCustomError("email", "is not a valid e-mail address") from error
    return value.lower()


def _nick(value: str) -> str:
    if not re.fullmatch(r"[^\s@#,:]+", value):
        raise PydanticCustomError("nick", "must not contain spaces or any of the characters @ # , :")
    return value


Email = Annotated[str, Field(min_length=1, max_length=254), AfterValidator(_email)]
Nick = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_nick)]


class UserChange(Shape):
    """Fields that are absent do not change."""

    nick: Nick | None = None
    email: Email | None = None


@router.get("/user", auth=person(), response=UserShape)
def current_user(request: PersonRequest) -> UserShape:
    """Retrieve the user that the key belongs to. An access token needs the scope `profile` to see `email`."""
    return user_shape(request.auth.user, with_email=request.auth.may("profile"))


@router.get("/users", auth=person("flow", "manage"), response=list[UserShape])
def visible_users(request: PersonRequest) -> list[UserShape]:
    """List the users who share a flow with the caller or belong to an organization that the caller is an admin of."""
    caller = request.auth
    return [user_shape(each, with_email=caller.sees_email_of(each)) for each in members.visible_to(caller.user)]


@router.get("/users/{user_id}", auth=person("flow", "manage"), response=UserShape)
def user(request: PersonRequest, user_id: int) -> UserShape:
    """Retrieve a user by id.

    404 unless the user shares a flow with the caller or belongs to an organization that the caller is an admin of.
    """
    found = get_object_or_404(members.visible_to(request.auth.user), pk=user_id)
    return user_shape(found, with_email=request.auth.sees_email_of(found))


class EmailRequestedShape(TypedDict):
    message: str


@router.api_operation(
    ["PUT", "PATCH"],
    "/users/{user_id}",
    auth=person("profile", "manage"),
    response={200: dict[str, Any], 202: EmailRequestedShape, 503: ErrorShape},
)
def change_user(request: PersonRequest, user_id: int, change: Annotated[UserChange, Merged(...)]) -> Any:
    """Change the caller's nick, or request a change of their e-mail address. 403 for another user's id.

    A new `email` is answered 202 and takes effect when the link that is mailed to it is opened; a notice goes to the
    old address. Changing it requires the scope `manage`, or Basic authentication with e-mail address and password: a
    personal API token is refused (403). 503 if the mail could not be sent; nothing has changed then.
    """
    found = get_object_or_404(members.visible_to(request.auth.user), pk=user_id)
    if found != request.auth.user:
        raise Forbidden("You can only change your own profile")
    new_address = change.email if change.email != found.email else None
    if new_address and not _may_change_email(request.auth):
        raise Forbidden("Changing your e-mail address requires the scope manage, or your password instead of a token")
    if new_address:
        _request_change(found, new_address)
    if change.nick is not None:
        found.nick = change.nick
        found.save(update_fields=["nick"])
    if not new_address:
        return {}
    return Status(202, {"message": f"Open the link that was sent to {new_address} to confirm the address"})


def _may_change_email(caller: Person) -> bool:
    """Whoever controls the address controls the account: an application needs `manage`, a person the password."""
    return caller.may("manage") if caller.application else caller.key is None


def _request_change(user: User, email: str) -> None:
    try:
        email_changes.request(user, email)
    except email_changes.AddressTaken as error:
        raise Rejected({"email": ["has already been taken"]}) from error
    except email_changes.MailNotSent as error:
        raise HttpError(503, "The e-mail could not be sent, so nothing has changed. Try again later.") from error
