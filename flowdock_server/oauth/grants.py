"""What people currently allow applications to do."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from oauth2_provider.models import AbstractAccessToken, get_access_token_model

from flowdock_server.models import Application, User


def valid_tokens(user: User) -> "QuerySet[AbstractAccessToken]":
    """The access tokens of applications for `user` that have not expired or can be renewed."""
    valid = Q(expires__gt=timezone.now()) | Q(refresh_token__isnull=False, refresh_token__revoked=None)
    tokens: QuerySet[Any] = get_access_token_model().objects.filter(valid, user=user, application__isnull=False)
    return tokens


def granted(user: User, application: Application) -> set[str]:
    """The names of the scopes that `application` currently has for `user`."""
    scopes = valid_tokens(user).filter(application=application).values_list("scope", flat=True)
    return {name for scope in scopes for name in scope.split()}
