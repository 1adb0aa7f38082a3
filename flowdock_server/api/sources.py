"""Sources: what applications have connected to flows. The API of October 2014 calls them integrations; both work."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import BeforeValidator, Field

from flowdock_server.models import Source
from flowdock_server.parsing.empty_values import none_is_empty
from flowdock_server.parsing.params import Merged
from flowdock_server.posting.drafts import Address, Shape

from .auth import ApiRequest, Caller, FlowToken, SourceRequest, person, person_or_source
from .errors import Forbidden
from .flows import open_flow
from .shapes import SourceShape, source_shape

router = Router(tags=["sources"])


class NewSource(Shape):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    external_url: Address = ""


class SourceChange(Shape):
    """Fields that are absent do not change. An empty string or null clears a field."""

    error_message: Annotated[str, Field(max_length=10_000), BeforeValidator(none_is_empty)] = ""
    configuration_url: Address = ""


def _loaded() -> QuerySet[Source]:
    return Source.objects.connected().select_related("flow__organization", "application", "creator")


def _of_flow(caller: Caller, organization: str, flow: str) -> QuerySet[Source]:
    """The sources of a flow that the caller may see: with the scope `integration` alone, those of its application."""
    found = _loaded().filter(flow=open_flow(caller, organization, flow))
    if caller.source:
        return found.filter(pk=caller.source.pk)
    return found if caller.may("flow", "manage") else found.filter(application=caller.application)


def _one(caller: Caller, organization: str, flow: str, source_id: int) -> Source:
    return get_object_or_404(_of_flow(caller, organization, flow), pk=source_id)


def _shape(caller: Caller, source: Source) -> SourceShape:
    return source_shape(source, with_email=source.creator is not None and caller.sees_email_of(source.creator))


def _is_own(caller: Caller, source: Source) -> bool:
    """Whether the caller is the application that created the source."""
    return caller.application is not None and caller.application == source.application


@router.get("/sources", auth=person_or_source("flow"), response=list[SourceShape])
def sources(request: ApiRequest) -> list[SourceShape]:
    """List the sources of all flows that the caller is a member of. With a flow token, list only its own source."""
    caller = request.auth
    if caller.source:
        return [_shape(caller, caller.source)]
    flows = caller.flows.order_by()
    return [_shape(caller, source) for source in _loaded().filter(flow__in=flows.values("pk"))]


@router.api_operation(["PUT", "PATCH"], "/sources", auth=[FlowToken()], response=SourceShape)
def change_source_by_token(request: SourceRequest, change: Annotated[SourceChange, Merged(...)]) -> SourceShape:
    """Set or clear the error message and the configuration URL of the source that the flow token belongs to."""
    return _changed(request.auth, request.auth.source, change)


def _list_sources(request: ApiRequest, organization: str, flow: str) -> list[SourceShape]:
    """List the sources of a flow. With the scope `integration` alone, list only those that the application created."""
    return [_shape(request.auth, source) for source in _of_flow(request.auth, organization, flow)]


def _create_source(
    request: ApiRequest, organization: str, flow: str, new: Annotated[NewSource, Merged(...)]
) -> Status[SourceShape]:
    """Create a source: connect the calling application to a flow. Only this response contains its `flow_token`.

    403 without an access token of an application, or if the flow is archived.
    """
    caller = request.auth
    if caller.application is None:
        raise Forbidden("Only an application can create a source. Authenticate with an OAuth access token.")
    opened = open_flow(caller, organization, flow)
    if opened.disabled:
        raise Forbidden("This flow is archived. Unarchive it before you connect an application.")
    source, token = Source.connect(
        flow=opened,
        application=caller.application,
        creator=caller.user,
        name=new.name,
        external_url=new.external_url,
    )
    shape = _shape(caller, source)
    shape["flow_token"] = token
    shape["application"]["configuration_uri"] = caller.application.configuration_uri
    return Status(201, shape)


def _one_source(request: ApiRequest, organization: str, flow: str, source_id: int) -> SourceShape:
    """Retrieve a source of a flow by its id.

    With a flow token, only its own source can be retrieved; with the scope `integration` alone, only those that the
    application created. 404 for others.
    """
    return _shape(request.auth, _one(request.auth, organization, flow, source_id))


def _change_source(
    request: ApiRequest, organization: str, flow: str, source_id: int, change: Annotated[SourceChange, Merged(...)]
) -> SourceShape:
    """Set or clear the error message and the configuration URL of a source.

    An application can change only sources that it created.
    """
    caller = request.auth
    source = _one(caller, organization, flow, source_id)
    if caller.application and not _is_own(caller, source):
        raise Forbidden("This source belongs to another application")
    return _changed(caller, source, change)


def _changed(caller: Caller, source: Source, change: SourceChange) -> SourceShape:
    source.change(**change.model_dump(exclude_unset=True))
    return _shape(caller, source)


def _delete_source(request: ApiRequest, organization: str, flow: str, source_id: int) -> Status[None]:
    """Remove a source from a flow. Requests with its `flow_token` then get 410. Its threads stay in the inbox.

    Without the scope `manage`, an application can remove only sources that it created.
    """
    caller = request.auth
    source = _one(caller, organization, flow, source_id)
    if not (caller.may("manage") or (_is_own(caller, source) and caller.may("integration"))):
        raise Forbidden("Only the application that created this source can remove it without the scope manage")
    source.remove()
    return Status(204, None)


LIST, SOURCE = "/flows/{organization}/{flow}/sources", "/flows/{organization}/{flow}/sources/{source_id}"
FORMER_LIST, FORMER_SOURCE = (path.replace("/sources", "/integrations") for path in (LIST, SOURCE))
# The path in one page of Flowdock's documentation.
SINGULAR = SOURCE.replace("/sources/", "/source/")


def _operation(view: Callable[..., Any], operation_id: str, instead_of: str = "") -> dict[str, Any]:
    """What openapi.json says of `view`. `instead_of` is the path that replaces this one, which is deprecated."""
    text = inspect.cleandoc(view.__doc__ or "")
    if instead_of:
        text += f"\n\nDeprecated: this is the older spelling of `{instead_of}`."
    summary = view.__name__.strip("_").replace("_", " ").title()
    return {"operation_id": operation_id, "summary": summary, "description": text, "deprecated": bool(instead_of)}


for name, of_flow, one in (("sources", LIST, SOURCE), ("integrations", FORMER_LIST, FORMER_SOURCE)):
    list_now, source_now = ("", "") if name == "sources" else (LIST, SOURCE)
    router.get(
        of_flow,
        auth=person("flow", "integration"),
        response=list[SourceShape],
        **_operation(_list_sources, f"list_{name}", list_now),
    )(_list_sources)
    router.post(
        of_flow,
        auth=person("integration"),
        response={201: SourceShape},
        **_operation(_create_source, f"create_{name}", list_now),
    )(_create_source)
    router.api_operation(
        ["PUT", "PATCH"],
        one,
        auth=person_or_source("integration"),
        response=SourceShape,
        **_operation(_change_source, f"change_one_of_{name}", source_now),
    )(_change_source)
for one, one_id, delete_id, source_now in (
    (SOURCE, "one_of_sources", "delete_one_of_sources", ""),
    (FORMER_SOURCE, "one_of_integrations", "delete_one_of_integrations", SOURCE),
    (SINGULAR, "one_source_by_its_singular_address", "delete_source_by_its_singular_address", SOURCE),
):
    router.get(
        one,
        auth=person_or_source("flow", "integration"),
        response=SourceShape,
        **_operation(_one_source, one_id, source_now),
    )(_one_source)
    router.delete(
        one,
        auth=person("manage", "integration"),
        response={204: None},
        **_operation(_delete_source, delete_id, source_now),
    )(_delete_source)
