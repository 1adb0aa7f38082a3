"""Who the caller is, and who their colleagues are."""

import re
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from flowdock_server import members
from flowdock_server.drafts import Rejected, Shape

from .auth import Caller, person
from .errors import Forbidden
from .params import Merged
from .shapes import UserShape, user_shape

router = Router(tags=["users"])


def _email(value: str) -> str:
    try:
        validate_email(value)
    except ValidationError as error:
        raise PydanticCustomError("email", "is no e-mail address") from error
    return value.lower()


def _nick(value: str) -> str:
    if not re.fullmatch(r"[^\s@#,:]+", value):
        raise PydanticCustomError("nick", "may have no blank and none of @ # , :")
    return value


Email = Annotated[str, Field(min_length=1, max_length=254), AfterValidator(_email)]
Nick = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_nick)]


class UserChange(Shape):
    """What is absent stays."""

    nick: Nick | None = None
    email: Email | None = None


@router.get("/user", auth=person(), response=UserShape)
def current_user(request: HttpRequest) -> UserShape:
    """Who the caller is. The e-mail address is told with the scope `profile` only."""
    return user_shape(request.auth.user, with_email=request.auth.may("profile"))


@router.get("/users", auth=person("flow", "manage"), response=list[UserShape])
def visible_users(request: HttpRequest) -> list[UserShape]:
    """Everybody who is in one of the caller's flows, and in the organizations that the caller manages."""
    caller: Caller = request.auth
    return [user_shape(each, with_email=caller.sees_email_of(each)) for each in members.visible_to(caller.user)]


@router.get("/users/{user_id}", auth=person("flow", "manage"), response=UserShape)
def user(request: HttpRequest, user_id: int) -> UserShape:
    """One of them."""
    found = get_object_or_404(members.visible_to(request.auth.user), pk=user_id)
    return user_shape(found, with_email=request.auth.sees_email_of(found))


@router.api_operation(["PUT", "PATCH"], "/users/{user_id}", auth=person("profile", "manage"), response=dict[str, Any])
def change_user(request: HttpRequest, user_id: int, change: Annotated[UserChange, Merged(...)]) -> dict[str, Any]:
    """Change one's own nick and e-mail address."""
    found = get_object_or_404(members.visible_to(request.auth.user), pk=user_id)
    if found != request.auth.user:
        raise Forbidden("Everybody changes only themselves")
    for field, value in change.model_dump(exclude_none=True).items():
        setattr(found, field, value)
    try:
        with transaction.atomic():
            found.save(update_fields=["nick", "email"])
    except IntegrityError as error:
        raise Rejected({"email": ["has already been taken"]}) from error
    return {}
