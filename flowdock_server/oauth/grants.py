"""What people currently allow applications to do."""

from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from oauth2_provider.models import (
    AbstractAccessToken,
    get_access_token_model,
    get_grant_model,
    get_refresh_token_model,
)

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


@transaction.atomic
def revoke(user: User, application: Application) -> bool:
    """Delete everything that lets `application` act for `user`. Sources that it connected stay.

    Returns whether there was anything.
    """
    models = (get_grant_model(), get_refresh_token_model(), get_access_token_model())
    deleted = [model.objects.filter(user=user, application=application).delete()[0] for model in models]
    return any(deleted)
