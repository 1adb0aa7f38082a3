"""Flows: lists, one, and who is in it."""

from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest
from ninja import Router

from flowdock_server.models import Flow, FlowMembership, Membership, Organization, User

from .auth import Caller, person
from .shapes import FlowShape, UserShape, flow_shape, flow_user_shape, user_shape

router = Router(tags=["flows"])


def open_flow(caller: Caller, organization: str, flow: str) -> Flow:
    """The flow at /flows/:organization/:flow for one who is in it; 404 for everybody else, and for no such flow."""
    return _one(_flows(caller), organization__parameterized_name=organization, parameterized_name=flow)


def open_flow_by_id(caller: Caller, flow_id: str) -> Flow:
    """The same by its id, and by `organization:flow`, as ids were before May 2013."""
    try:
        return _one(_flows(caller), pk=UUID(flow_id))
    except ValueError:
        organization, _, name = flow_id.replace("/", ":").partition(":")
        return open_flow(caller, organization, name)


def _flows(caller: Caller) -> QuerySet[Flow]:
    """Those the caller is in; for a source, its flow."""
    if caller.source:
        return Flow.objects.filter(pk=caller.source.flow_id).select_related("organization")
    return Flow.objects.open_to(caller.user).select_related("organization")


def _one(flows: QuerySet[Flow], **which: Any) -> Flow:
    flow = flows.filter(**which).first()
    if flow is None:
        raise Http404
    return flow


def _loaded(flows: QuerySet[Flow], users: bool) -> QuerySet[Flow]:
    """With all that a shape needs, in as many queries for many flows as for one."""
    members = (
        Membership.objects.filter(organization=OuterRef("organization"))
        .order_by()
        .values("organization")
        .annotate(members=Count("*"))
        .values("members")
    )
    flows = flows.annotate(user_count=Coalesce(Subquery(members), 0))
    return flows.prefetch_related("memberships__user") if users else flows


def _shape(caller: Caller, flow: Flow, *, users: bool, joined: bool = True) -> FlowShape:
    may_connect = joined and caller.application is not None and caller.may("integration")
    shape = flow_shape(flow, user_count=flow.user_count, joined=joined, may_connect=may_connect)
    if users:
        memberships = sorted(flow.memberships.all(), key=lambda membership: membership.user_id)
        shape["users"] = [flow_user_shape(membership.user) for membership in memberships]
    return shape


def _listed(caller: Caller, flows: QuerySet[Flow], users: bool) -> list[FlowShape]:
    flows = _loaded(flows, users).order_by("organization__parameterized_name", "parameterized_name")
    return [_shape(caller, flow, users=users, joined=getattr(flow, "joined", True)) for flow in flows]


@router.get("/flows", auth=person("flow"), response=list[FlowShape])
def joined_flows(request: HttpRequest, users: bool = False) -> list[FlowShape]:
    """The flows that the caller is in; with `users=1` also who else is."""
    return _listed(request.auth, _flows(request.auth), users)


@router.get("/flows/all", auth=person("flow"), response=list[FlowShape])
def all_flows(request: HttpRequest, users: bool = False) -> list[FlowShape]:
    """The same, and those that the caller may join because they are in the organization."""
    user = request.auth.user
    in_flow = FlowMembership.objects.filter(flow=OuterRef("pk"), user=user)
    in_organization = Membership.objects.filter(organization=OuterRef("organization"), user=user)
    flows = Flow.objects.annotate(joined=Exists(in_flow)).filter(
        Q(joined=True) | Q(Exists(in_organization), access_mode=Flow.AccessMode.ORGANIZATION)
    )
    # Who is in a flow is told to those who are in it.
    return _listed(request.auth, flows.select_related("organization"), users=False)


@router.get("/flows/find", auth=person("flow", "integration"), response=FlowShape)
def find_flow(request: HttpRequest, id: str) -> FlowShape:
    """One flow by its id, as a set-up address gives it."""
    return _whole(request.auth, open_flow_by_id(request.auth, id))


@router.get("/flows/{organization}", auth=person("flow"), response=list[FlowShape])
def flows_of_organization(request: HttpRequest, organization: str, users: bool = False) -> list[FlowShape]:
    """The flows of one organization that the caller is in."""
    if not Organization.objects.of(request.auth.user).filter(parameterized_name=organization).exists():
        raise Http404
    flows = _flows(request.auth).filter(organization__parameterized_name=organization)
    return _listed(request.auth, flows, users)


@router.get("/flows/{organization}/{flow}", auth=person("flow", "integration"), response=FlowShape)
def one_flow(request: HttpRequest, organization: str, flow: str) -> FlowShape:
    """One flow, with its users."""
    return _whole(request.auth, open_flow(request.auth, organization, flow))


def _whole(caller: Caller, flow: Flow) -> FlowShape:
    loaded = _loaded(Flow.objects.select_related("organization"), users=True).get(pk=flow.pk)
    return _shape(caller, loaded, users=True)


@router.get("/flows/{organization}/{flow}/users", auth=person("flow"), response=list[UserShape])
def flow_users(request: HttpRequest, organization: str, flow: str) -> list[UserShape]:
    """Who is in the flow."""
    users = User.objects.filter(flow_memberships__flow=open_flow(request.auth, organization, flow))
    return [user_shape(user) for user in users.order_by("id")]
