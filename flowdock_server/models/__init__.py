"""What the server keeps.

    people.py        User, Organization, Membership, ApiToken
    flows.py         Flow, FlowMembership
    applications.py  Application, Source
    messages.py      Thread, Message, Tag

Writing messages is `flowdock_server.messages.post`; nothing else creates a Message or changes a Thread's state.
Strangers' HTML is stored as it came: show it through the properties that begin with `safe_`.
"""

from .applications import Application, Source
from .flows import Flow, FlowMembership
from .messages import Message, Tag, Thread
from .people import ApiToken, Membership, Organization, User

__all__ = [
    "ApiToken",
    "Application",
    "Flow",
    "FlowMembership",
    "Membership",
    "Message",
    "Organization",
    "Source",
    "Tag",
    "Thread",
    "User",
]
