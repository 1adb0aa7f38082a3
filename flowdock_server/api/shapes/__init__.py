"""The objects of the API's responses. Docstrings say which related objects must be loaded before.

    people.py    users and organizations
    flows.py     flows, invitations, applications and sources
    messages.py  threads, messages, attachments and private conversations
    common.py    errors and times

HTML from outside is sanitized. NotRequired keys are absent if they have no value.
"""

from .common import ErrorShape, moment
from .flows import (
    ApplicationShape,
    FlowShape,
    ImportedShape,
    InvitationShape,
    LinkShape,
    Offers,
    SourceShape,
    application_shape,
    flow_shape,
    invitation_shape,
    source_shape,
)
from .messages import (
    AttachmentShape,
    AuthorShape,
    ConversationShape,
    MessageShape,
    PrivateMessageShape,
    StatusShape,
    ThreadShape,
    attachment_shape,
    conversation_shape,
    loaded,
    message_shape,
    message_shapes,
    private_message_shape,
    thread_shape,
)
from .people import (
    FlowUserShape,
    MemberShape,
    OrganizationShape,
    OrganizationUserShape,
    UserShape,
    flow_user_shape,
    organization_shape,
    user_shape,
    whole_organization_shape,
)

__all__ = [
    "ApplicationShape",
    "AttachmentShape",
    "AuthorShape",
    "ConversationShape",
    "ErrorShape",
    "FlowShape",
    "FlowUserShape",
    "ImportedShape",
    "InvitationShape",
    "LinkShape",
    "MemberShape",
    "MessageShape",
    "Offers",
    "OrganizationShape",
    "OrganizationUserShape",
    "PrivateMessageShape",
    "SourceShape",
    "StatusShape",
    "ThreadShape",
    "UserShape",
    "application_shape",
    "attachment_shape",
    "conversation_shape",
    "flow_shape",
    "flow_user_shape",
    "invitation_shape",
    "loaded",
    "message_shape",
    "message_shapes",
    "moment",
    "organization_shape",
    "private_message_shape",
    "source_shape",
    "thread_shape",
    "user_shape",
    "whole_organization_shape",
]
