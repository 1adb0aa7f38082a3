"""Who may open what: a flow is there for the people in it, and for nobody else."""

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
    """A request of somebody who is signed in, as views behind `login_required` and `flow_page` get it."""

    user: User


def flow_page(
    view: Callable[Concatenate[SignedInRequest, Flow, P], HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """A page of the flow that its address names; 404 to those who are not in it, as for a flow that is not there."""

    @never_cache
    @login_required
    @wraps(view)
    def opened(request: SignedInRequest, organization: str, flow: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, open_flow(request.user, organization, flow), *args, **kwargs)

    return opened


def open_flow(user: Any, organization: str, flow: str) -> Flow:
    """The flow, whose `membership` is how this person is in it."""
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
