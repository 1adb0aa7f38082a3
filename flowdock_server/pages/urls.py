from django.contrib.auth.views import LogoutView
from django.urls import include, path

from . import account, actions, applications, entry, events, inbox, joining, sources

_flow = [
    path("", inbox.show, name="inbox"),
    path("/list", inbox.list_threads, name="inbox-list"),
    path("/events", events.events, name="inbox-events"),
    path("/threads/<str:thread_id>", inbox.show_thread, name="thread"),
    path("/threads/<str:thread_id>/pane", inbox.thread_pane, name="thread-pane"),
    path("/threads/<str:thread_id>/comments", inbox.comment, name="comment"),
    path("/threads/<str:thread_id>/actions/<int:number>", actions.press, name="press-action"),
    path("/settings", sources.settings, name="inbox-settings"),
    path("/sources/<int:source_id>/remove", sources.remove, name="remove-source"),
]
_application = [
    path("", applications.edit, name="application"),
    path("/secret", applications.rotate_secret, name="rotate-secret"),
    path("/sources", applications.connect, name="connect-source"),
    path("/delete", applications.delete, name="delete-application"),
]
urlpatterns = [
    path("", entry.home, name="home"),
    path("login", entry.SignIn.as_view(), name="sign-in"),
    path("account/sign-out", LogoutView.as_view(), name="sign-out"),
    path("invitations/<str:token>", joining.accept, name="accept-invitation"),
    path("join/<uuid:flow_id>", joining.join, name="join"),
    path("join/<uuid:flow_id>/<str:key>", joining.join, name="join-by-link"),
    path("app", entry.flows, name="flows"),
    path("app/<str:organization>/<str:flow>", include(_flow)),
    path("account", account.show, name="account"),
    path("account/tokens", account.issue_token, name="issue-token"),
    path("account/tokens/<int:token_id>/revoke", account.revoke_token, name="revoke-token"),
    path("account/authorised/<int:application_id>/revoke", account.revoke_application, name="revoke-application"),
    path("account/applications", applications.show, name="applications"),
    path("account/applications/new", applications.create, name="new-application"),
    path("account/applications/<int:application_id>", include(_application)),
]
