"""The server's database tables.

    people.py        User, Organization, Membership, ApiToken, EmailChange, SignInFailures
    flows.py         Flow, FlowMembership, Invitation
    applications.py  Application, UsedCode, Source
    messages.py      Thread, Message, Attachment, Tag, ThreadMark
    private.py       Conversation, PrivateMessage, PrivateTag
    search.py        Indexed

`flowdock_server.posting` writes messages and the states of threads; so does `flowdock_server.transfer`, for imports.
HTML from outside is stored unchanged: show it through the properties that begin with `safe_`.
"""

from .applications import Application, CodeUsed, HasSources, Source, UsedCode
from .flows import Flow, FlowMembership, Invitation
from .messages import Attachment, Message, Tag, Thread, ThreadMark
from .people import ApiToken, EmailChange, Membership, Organization, SignInFailures, User
from .private import Conversation, PrivateMessage, PrivateTag
from .search import Indexed

__all__ = [
    "ApiToken",
    "Application",
    "Attachment",
    "CodeUsed",
    "Conversation",
    "EmailChange",
    "Flow",
    "FlowMembership",
    "HasSources",
    "Indexed",
    "Invitation",
    "Membership",
    "Message",
    "Organization",
    "PrivateMessage",
    "PrivateTag",
    "SignInFailures",
    "Source",
    "Tag",
    "Thread",
    "ThreadMark",
    "UsedCode",
    "User",
]
