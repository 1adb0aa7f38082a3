"""Access to pages: only the members of a flow can open it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache

from flowdock_server.models import Flow, FlowMembership, User

P = ParamSpec("P")


class SignedInRequest(HttpRequest):
    """A request of a signed-in user, as views behind `login_required` and `flow_page` get it."""

    user: User


def flow_page(
    view: Callable[Concatenate[SignedInRequest, Flow, P], HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Pass `view` the flow that the address names. Only its members get it; others get 404, as if there were none."""

    @never_cache
    @login_required
    @wraps(view)
    def opened(request: SignedInRequest, organization: str, flow: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, open_flow(request.user, organization, flow), *args, **kwargs)

    return opened


def open_flow(user: Any, organization: str, flow: str) -> Flow:
    """Return the flow with the user's membership as its `membership`; Http404 unless the user is a member."""
    if not isinstance(user, User):
        raise Http404
    membership = get_object_or_404(
        FlowMembership.objects.select_related("flow__organization"),
        user=user,
        disabled=False,
        flow__organization__parameterized_name=organization,
        flow__parameterized_name=flow,
    )
    membership.flow.membership = membership
    return membership.flow
