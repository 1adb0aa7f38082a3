"""Flows: listing, retrieving, creating and changing them, and their users."""

from typing import Annotated, Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import Field
from typing_extensions import TypedDict

from flowdock_server.models import Flow, FlowMembership, Organization, User
from flowdock_server.models.flows import FlowQuerySet
from flowdock_server.parsing.params import Id, Merged
from flowdock_server.people import flows, invite_links, members, organizations
from flowdock_server.people.unread import mentions
from flowdock_server.posting.drafts import Shape

from .auth import Caller, Person, PersonRequest, person
from .errors import Forbidden
from .shapes import FlowShape, FlowUserShape, Offers, flow_shape, flow_user_shape

router = Router(tags=["flows"])

OF_ORGANIZATION, ONE = "/flows/{organization}", "/flows/{organization}/{flow}"
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]


class NewFlow(Shape):
    name: Name
    access_mode: Flow.AccessMode = Flow.AccessMode.INVITATION


class FlowChange(Shape):
    """Fields that are absent do not change. `open` is the caller's own; only admins can change the others."""

    name: Name | None = None
    open: bool | None = None
    disabled: bool | None = None
    access_mode: Flow.AccessMode | None = None


class FlowUserAdded(Shape):
    id: int


class FlowUserChange(Shape):
    disabled: bool


def open_flow(caller: Caller, organization: str, flow: str) -> Flow:
    """The flow at /flows/:organization/:flow. Raises Http404 if there is none or the caller is not a member."""
    return _one(_flows(caller), organization__parameterized_name=organization, parameterized_name=flow)


def open_flow_by_id(caller: Caller, flow_id: str) -> Flow:
    """The flow with this id, or with the form of ids before May 2013, `organization:flow`. Raises Http404."""
    try:
        return _one(_flows(caller), pk=UUID(flow_id))
    except ValueError:
        organization, _, name = flow_id.replace("/", ":").partition(":")
        return open_flow(caller, organization, name)


def _flows(caller: Caller) -> FlowQuerySet:
    return caller.flows.select_related("organization")


def _one(flows: FlowQuerySet, **which: Any) -> Flow:
    flow = flows.filter(**which).first()
    if flow is None:
        raise Http404
    return flow


def _shapes(caller: Person, flows: FlowQuerySet, *, users: bool) -> list[FlowShape]:
    """The same number of queries for many flows as for one. `users` are shown only to members of a flow."""
    flows = flows.select_related("organization").order_by("organization__parameterized_name", "parameterized_name")
    if users:
        flows = flows.with_members()
    own = {each.flow_id: each for each in FlowMembership.objects.not_blocked().filter(user=caller.user)}
    unread = mentions(caller.user)
    shapes = []
    for flow in flows.with_user_count():
        membership = own.get(flow.pk)
        shape = flow_shape(
            flow,
            user_count=flow.user_count,
            membership=membership,
            unread_mentions=unread.get(flow.pk, 0),
            offers=Offers(
                manage=caller.may("manage"),
                invite=caller.sees("join_url"),
                connect=membership is not None and caller.application is not None and caller.may("integration"),
            ),
        )
        if users and membership:
            shape["users"] = [
                flow_user_shape(each, with_email=caller.sees_email_of(each.user)) for each in flow.memberships.all()
            ]
        shapes.append(shape)
    return shapes


def _whole(caller: Person, flow: Flow) -> FlowShape:
    return _shapes(caller, Flow.objects.filter(pk=flow.pk), users=True)[0]


@router.get("/flows", auth=person("flow"), response=list[FlowShape])
def joined_flows(request: PersonRequest, users: bool = False) -> list[FlowShape]:
    """List the flows that the caller is a member of, with their users if `users=1`. Archived flows are left out."""
    return _shapes(request.auth, _flows(request.auth).not_archived(), users=users)


@router.get("/flows/all", auth=person("flow"), response=list[FlowShape])
def all_flows(request: PersonRequest, users: bool = False) -> list[FlowShape]:
    """List the flows that the caller is a member of, and those of their organizations that they can join.

    With `users=1`, flows that the caller is a member of include their users. Archived flows are left out.
    """
    joined, joinable = _flows(request.auth).not_archived(), Flow.objects.joinable_by(request.auth.user)
    flows = Flow.objects.filter(Q(pk__in=joined.order_by().values("pk")) | Q(pk__in=joinable.order_by().values("pk")))
    return _shapes(request.auth, flows, users=users)


@router.get("/flows/find", auth=person("flow", "integration"), response=FlowShape)
def find_flow(request: PersonRequest, id: str) -> FlowShape:
    """Retrieve a flow by its id, with its users. 404 if the caller is not a member of the flow."""
    return _whole(request.auth, open_flow_by_id(request.auth, id))


@router.get(OF_ORGANIZATION, auth=person("flow"), response=list[FlowShape])
def flows_of_organization(request: PersonRequest, organization: str, users: bool = False) -> list[FlowShape]:
    """List the flows of one organization that the caller is a member of. Archived flows are left out.

    With `users=1`, each flow includes its users. 404 if the caller is not in the organization.
    """
    opened = _organization(request.auth.user, organization)
    return _shapes(request.auth, _flows(request.auth).not_archived().filter(organization=opened), users=users)


@router.post(OF_ORGANIZATION, auth=person("manage"), response={201: FlowShape})
def create_flow(request: PersonRequest, organization: str, new: Annotated[NewFlow, Merged(...)]) -> Status[FlowShape]:
    """Create a flow in an organization and add the caller to it. Its `parameterized_name` is made from `name`.

    404 if the caller is not in the organization.
    """
    user = request.auth.user
    try:
        flow = flows.create(_organization(user, organization), new.name, new.access_mode, by=user)
    except flows.NoAddressLeft as error:
        raise Forbidden("There are too many flows with this name. Choose another name.") from error
    return Status(201, _whole(request.auth, flow))


def _organization(user: User, organization: str) -> Organization:
    return get_object_or_404(Organization.objects.of(user), parameterized_name=organization)


@router.get(ONE, auth=person("flow", "integration"), response=FlowShape)
def one_flow(request: PersonRequest, organization: str, flow: str) -> FlowShape:
    """Retrieve a flow by its path, with its users. 404 if the caller is not a member of the flow."""
    return _whole(request.auth, open_flow(request.auth, organization, flow))


@router.api_operation(["PUT", "PATCH"], ONE, auth=person("manage"), response=FlowShape)
def change_flow(
    request: PersonRequest, organization: str, flow: str, change: Annotated[FlowChange, Merged(...)]
) -> FlowShape:
    """Change a flow: open or close it for the caller, join it, rename it, archive or unarchive it, or set who can join.

    `open` opens or closes the flow for the caller only; opening a flow that they can join also joins it. Only admins of
    the organization can change `name`, `disabled` (archived) and `access_mode` (403 otherwise). The
    `parameterized_name` stays the same. 404 if the caller is not a member and cannot join.
    """
    caller = request.auth
    reachable = Q(pk__in=_flows(caller).order_by().values("pk"))
    reachable |= Q(pk__in=Flow.objects.joinable_by(caller.user).order_by().values("pk"))
    found = _one(
        Flow.objects.filter(reachable).select_related("organization"),
        organization__parameterized_name=organization,
        parameterized_name=flow,
    )
    for_admins = change.model_dump(exclude_none=True, exclude={"open"})
    if for_admins and not organizations.is_admin(caller.user, found.organization):
        raise Forbidden(f"Only admins of the organization can change {', '.join(for_admins)}")
    with transaction.atomic():
        flows.change(found, **for_admins)
        if change.open is not None:
            members.set_open(found, caller.user, is_open=change.open)
    return _whole(caller, found)


class JoinUrlShape(TypedDict):
    join_url: str


@router.post(ONE + "/join_url", auth=person("manage"), response=JoinUrlShape)
def renew_join_url(request: PersonRequest, organization: str, flow: str) -> JoinUrlShape:
    """Replace the invite link of a flow, and return the new one. The old link stops working.

    403 unless the caller is an admin of the organization; 404 if the flow's `access_mode` is not `link`.
    """
    opened = open_flow(request.auth, organization, flow)
    if not organizations.is_admin(request.auth.user, opened.organization):
        raise Forbidden("Only admins of the organization can renew the invite link")
    if opened.access_mode != Flow.AccessMode.LINK:
        raise Http404
    invite_links.renew(opened)
    return {"join_url": invite_links.join_url(opened)}


@router.get(ONE + "/users", auth=person("flow"), response=list[FlowUserShape])
def flow_users(request: PersonRequest, organization: str, flow: str) -> list[FlowUserShape]:
    """List the users of a flow, ordered by id. A user who is blocked is `disabled` and not `in_flow`."""
    memberships = open_flow(request.auth, organization, flow).memberships.select_related("user").order_by("user_id")
    return [flow_user_shape(each, with_email=request.auth.sees_email_of(each.user)) for each in memberships]


@router.post(ONE + "/users", auth=person("manage"), response=dict[str, Any])
def add_flow_user(
    request: PersonRequest, organization: str, flow: str, added: Annotated[FlowUserAdded, Merged(...)]
) -> dict[str, Any]:
    """Add a user of the organization to a flow, by their `id`. 404 if the user is not in the organization."""
    opened = open_flow(request.auth, organization, flow)
    user = get_object_or_404(User, memberships__organization=opened.organization, pk=added.id)
    members.add(opened, user, by=request.auth.user)
    return {}


@router.api_operation(["PUT", "PATCH"], ONE + "/users/{user_id}", auth=person("manage"), response=dict[str, Any])
def block_flow_user(
    request: PersonRequest, organization: str, flow: str, user_id: Id, change: Annotated[FlowUserChange, Merged(...)]
) -> dict[str, Any]:
    """Block a user in a flow, so that they cannot read or post there, or unblock them.

    403 unless the caller is an admin of the organization, and for blocking oneself; 404 if the user is not in the flow.
    """
    opened = open_flow(request.auth, organization, flow)
    membership = get_object_or_404(opened.memberships.select_related("user"), user_id=user_id)
    if not organizations.is_admin(request.auth.user, opened.organization):
        raise Forbidden("Only admins of the organization can block and unblock people")
    if change.disabled and membership.user == request.auth.user:
        raise Forbidden("You cannot block yourself")
    if change.disabled:
        members.block(membership, by=request.auth.user)
    else:
        members.unblock(membership)
    return {}
