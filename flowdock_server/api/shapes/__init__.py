"""The objects as the API shows them, and what they must have been loaded with.

    people.py    users and organizations
    flows.py     flows, applications, sources
    messages.py  threads and messages

Strangers' HTML leaves cleaned. Keys that are not required are absent where they say nothing.
"""

from .common import ErrorShape, moment
from .flows import ApplicationShape, FlowShape, LinkShape, SourceShape, application_shape, flow_shape, source_shape
from .messages import AuthorShape, CommentShape, MessageShape, StatusShape, ThreadShape, message_shape, thread_shape
from .people import FlowUserShape, OrganizationShape, UserShape, flow_user_shape, organization_shape, user_shape

__all__ = [
    "ApplicationShape",
    "AuthorShape",
    "CommentShape",
    "ErrorShape",
    "FlowShape",
    "FlowUserShape",
    "LinkShape",
    "MessageShape",
    "OrganizationShape",
    "SourceShape",
    "StatusShape",
    "ThreadShape",
    "UserShape",
    "application_shape",
    "flow_shape",
    "flow_user_shape",
    "message_shape",
    "moment",
    "organization_shape",
    "source_shape",
    "thread_shape",
    "user_shape",
]
