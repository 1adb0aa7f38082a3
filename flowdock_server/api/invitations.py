"""Invitations to a flow. Every member can invite; only the sender of an invitation and admins can cancel it."""

from typing import Annotated

from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import BeforeValidator, Field

from flowdock_server.models import Flow
from flowdock_server.parsing.empty_values import none_is_empty
from flowdock_server.parsing.params import Merged
from flowdock_server.people import invitations, organizations
from flowdock_server.posting.drafts import Rejected, Shape

from .auth import ApiRequest, PersonRequest, person
from .errors import Forbidden
from .flows import open_flow
from .shapes import ImportedShape, InvitationShape, invitation_shape, user_shape
from .users import Email

router = Router(tags=["invitations"])

OF_FLOW = "/flows/{organization}/{flow}/invitations"
Message = Annotated[str, Field(max_length=invitations.MAX_MESSAGE), BeforeValidator(none_is_empty)]


class NewInvitation(Shape):
    email: Email
    message: Message = ""


def _joined(value: object) -> object:
    """Accept a list of addresses in place of a string that contains them."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    return value


class NewInvitations(Shape):
    list: Annotated[str, Field(min_length=1, max_length=50_000), BeforeValidator(_joined)]
    message: Message = ""


@router.get(OF_FLOW, auth=person("manage"), response=list[InvitationShape])
def flow_invitations(request: PersonRequest, organization: str, flow: str) -> list[InvitationShape]:
    """List the pending invitations to a flow. Accepted invitations are not listed."""
    opened = open_flow(request.auth, organization, flow)
    pending = opened.invitations.pending()
    return [invitation_shape(invitation, opened) for invitation in pending]


@router.post(OF_FLOW, auth=person("manage"), response={201: InvitationShape})
def invite(
    request: PersonRequest, organization: str, flow: str, new: Annotated[NewInvitation, Merged(...)]
) -> Status[InvitationShape]:
    """Invite a person to a flow by e-mail. If they have a pending invitation, its e-mail is sent again.

    400 if the person is already in the flow; 403 if the flow is archived.
    """
    opened = _open_for_inviting(request, organization, flow)
    try:
        invitation = invitations.invite(opened, new.email, by=request.auth.user, message=new.message)
    except invitations.AlreadyInFlow as error:
        raise Rejected({"email": ["is already in the flow"]}) from error
    return Status(201, invitation_shape(invitation, opened))


@router.post(OF_FLOW + "/import", auth=person("manage"), response={201: ImportedShape})
def invite_many(
    request: PersonRequest, organization: str, flow: str, new: Annotated[NewInvitations, Merged(...)]
) -> Status[ImportedShape]:
    """Invite several people to a flow by e-mail. People in the organization are added to the flow right away.

    `list` is text that contains the addresses. Addresses that are not valid are returned in `erroneous_emails`. 403 if
    the flow is archived.
    """
    opened = _open_for_inviting(request, organization, flow)
    try:
        outcome = invitations.import_addresses(opened, new.list, by=request.auth.user, message=new.message)
    except invitations.TooMany as error:
        raise Rejected({"list": [f"has too many addresses (maximum is {invitations.MAX_IMPORTED})"]}) from error
    answer: ImportedShape = {
        "invitations": [invitation_shape(invitation, opened) for invitation in outcome.invitations],
        "added_users": [user_shape(user, with_email=request.auth.sees_email_of(user)) for user in outcome.added_users],
        "erroneous_emails": outcome.erroneous_emails,
    }
    return Status(201, answer)


@router.get(OF_FLOW + "/{invitation_id}", auth=person("manage"), response=InvitationShape)
def one_invitation(request: PersonRequest, organization: str, flow: str, invitation_id: int) -> InvitationShape:
    """Retrieve an invitation to a flow by its id, whether it is pending or accepted."""
    opened = open_flow(request.auth, organization, flow)
    return invitation_shape(get_object_or_404(opened.invitations, pk=invitation_id), opened)


@router.delete(OF_FLOW + "/{invitation_id}", auth=person("manage"), response={204: None})
def uninvite(request: PersonRequest, organization: str, flow: str, invitation_id: int) -> Status[None]:
    """Cancel a pending invitation, so that the link in its e-mail stops working.

    403 unless the caller sent the invitation or is an admin of the organization; 404 if it was already accepted.
    """
    opened = open_flow(request.auth, organization, flow)
    invitation = get_object_or_404(opened.invitations.pending(), pk=invitation_id)
    user = request.auth.user
    if invitation.invited_by != user and not organizations.is_admin(user, opened.organization):
        raise Forbidden("Only the person who sent the invitation and admins of the organization can cancel it")
    invitations.cancel(invitation, by=user)
    return Status(204, None)


def _open_for_inviting(request: ApiRequest, organization: str, flow: str) -> Flow:
    opened = open_flow(request.auth, organization, flow)
    if opened.disabled:
        raise Forbidden("This flow is archived. Unarchive it before you invite people.")
    return opened
