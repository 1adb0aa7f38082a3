from django.urls import path

from . import (
    actions,
    applications,
    errors,
    files,
    flows,
    invitations,
    messages,
    organizations,
    private,
    push,
    sources,
    threads,
    users,
)
from .openapi import FlowdockAPI

# docs_url: its page needs scripts from elsewhere and inline, which the policy forbids. openapi.json is for tools.
api = FlowdockAPI(title="Flowdock", version="1", urls_namespace="api", docs_url=None, openapi_url="/openapi")
errors.register(api)
for module in (
    users,
    organizations,
    flows,
    invitations,
    sources,
    messages,
    threads,
    actions,
    private,
    push,
    files,
    applications,
):
    api.add_router("", module.router)

urlpatterns = [
    path("downloads/<str:key>/<str:token>/<path:name>", files.download),
    path("", api.urls),
]
