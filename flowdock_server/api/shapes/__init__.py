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
    Offers,
    SourceShape,
    application_shape,
    flow_shape,
    invitation_shape,
    source_shape,
)
from .messages import (
    ConversationShape,
    MessageShape,
    PrivateMessageShape,
    ThreadShape,
    conversation_shape,
    loaded,
    message_shapes,
    private_message_shape,
    thread_shape,
)
from .people import (
    FlowUserShape,
    OrganizationShape,
    OrganizationUserShape,
    UserShape,
    flow_user_shape,
    user_shape,
    whole_organization_shape,
)

__all__ = [
    "ApplicationShape",
    "ConversationShape",
    "ErrorShape",
    "FlowShape",
    "FlowUserShape",
    "ImportedShape",
    "InvitationShape",
    "MessageShape",
    "Offers",
    "OrganizationShape",
    "OrganizationUserShape",
    "PrivateMessageShape",
    "SourceShape",
    "ThreadShape",
    "UserShape",
    "application_shape",
    "conversation_shape",
    "flow_shape",
    "flow_user_shape",
    "invitation_shape",
    "loaded",
    "message_shapes",
    "moment",
    "private_message_shape",
    "source_shape",
    "thread_shape",
    "user_shape",
    "whole_organization_shape",
]
