"""Sources: what an application connected to a flow. October 2014's clients call them integrations, and may."""

from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import BeforeValidator, Field

from flowdock_server.drafts import Address, Shape
from flowdock_server.models import Flow, Source

from .auth import Caller, FlowToken, person, person_or_source
from .errors import Forbidden
from .flows import open_flow
from .params import Merged
from .shapes import SourceShape, source_shape

router = Router(tags=["sources"])


def _none_is_empty(value: Any) -> Any:
    return "" if value is None else value


class NewSource(Shape):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    external_url: Address = ""


class SourceChange(Shape):
    """What is absent stays; an empty text clears, and so does JSON's null."""

    error_message: Annotated[str, Field(max_length=10_000), BeforeValidator(_none_is_empty)] = ""
    configuration_url: Address = ""


def _loaded() -> QuerySet[Source]:
    return Source.objects.connected().select_related("flow__organization", "application", "creator")


def _of_flow(caller: Caller, organization: str, flow: str) -> QuerySet[Source]:
    """The sources of a flow that the caller may see: with `integration` alone, those of the calling application."""
    found = _loaded().filter(flow=open_flow(caller, organization, flow))
    if caller.source:
        return found.filter(pk=caller.source.pk)
    return found if caller.may("flow", "manage") else found.filter(application=caller.application)


def _one(caller: Caller, organization: str, flow: str, source_id: int) -> Source:
    return get_object_or_404(_of_flow(caller, organization, flow), pk=source_id)


def _shape(caller: Caller, source: Source) -> SourceShape:
    return source_shape(source, with_email=source.creator is not None and caller.sees_email_of(source.creator))


def _own(caller: Caller, source: Source) -> bool:
    """Whether the caller is the application that connected it."""
    return caller.application is not None and caller.application == source.application


@router.get("/sources", auth=person_or_source("flow"), response=list[SourceShape])
def sources(request: HttpRequest) -> list[SourceShape]:
    """The sources of all the caller's flows; with a flow token that one source."""
    caller: Caller = request.auth
    if caller.source:
        return [_shape(caller, caller.source)]
    flows = Flow.objects.open_to(caller.user).order_by()
    return [_shape(caller, source) for source in _loaded().filter(flow__in=flows.values("pk"))]


@router.api_operation(["PUT", "PATCH"], "/sources", auth=[FlowToken()], response=SourceShape)
def change_source_by_token(request: HttpRequest, change: Annotated[SourceChange, Merged(...)]) -> SourceShape:
    """Set or clear a source's error message and configuration address, knowing its flow token only."""
    return _changed(request.auth, request.auth.source, change)


def _list_sources(request: HttpRequest, organization: str, flow: str) -> list[SourceShape]:
    """The sources of a flow. With the scope `integration` alone, only those that the application connected."""
    return [_shape(request.auth, source) for source in _of_flow(request.auth, organization, flow)]


def _create_source(
    request: HttpRequest, organization: str, flow: str, new: Annotated[NewSource, Merged(...)]
) -> Status[dict[str, Any]]:
    """Connect the calling application to a flow. The answer alone holds the `flow_token`."""
    caller: Caller = request.auth
    if caller.application is None:
        raise Forbidden("Only an application can create a source: authorize with OAuth")
    opened = open_flow(caller, organization, flow)
    if opened.disabled:
        raise Forbidden("The flow is archived")
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


def _one_source(request: HttpRequest, organization: str, flow: str, source_id: int) -> SourceShape:
    """One source of a flow. A flow token opens its own; the scope `integration` alone, those of the application."""
    return _shape(request.auth, _one(request.auth, organization, flow, source_id))


def _change_source(
    request: HttpRequest, organization: str, flow: str, source_id: int, change: Annotated[SourceChange, Merged(...)]
) -> SourceShape:
    """Set or clear its error message and configuration address. An application may change its own sources only."""
    caller: Caller = request.auth
    source = _one(caller, organization, flow, source_id)
    if caller.application and not _own(caller, source):
        raise Forbidden("This source belongs to another application")
    return _changed(caller, source, change)


def _changed(caller: Caller, source: Source, change: SourceChange) -> SourceShape:
    source.change(**change.model_dump(exclude_unset=True))
    return _shape(caller, source)


def _delete_source(request: HttpRequest, organization: str, flow: str, source_id: int) -> Status[None]:
    """Remove a source: its token is answered 410 from now on, and its threads stay."""
    caller: Caller = request.auth
    source = _one(caller, organization, flow, source_id)
    if not (caller.may("manage") or (_own(caller, source) and caller.may("integration"))):
        raise Forbidden("This needs the scope manage, or integration and the source's own application")
    source.remove()
    return Status(204, None)


for name in ("sources", "integrations"):
    of_flow, one = f"/flows/{{organization}}/{{flow}}/{name}", f"/flows/{{organization}}/{{flow}}/{name}/{{source_id}}"

    def said(verb: str, name: str = name) -> dict[str, Any]:
        """How the description calls it; the same under its name of October 2014 is deprecated."""
        return {"operation_id": f"{verb}_{name}", "deprecated": name == "integrations"}

    router.get(of_flow, auth=person("flow", "integration"), response=list[SourceShape], **said("list"))(_list_sources)
    router.post(of_flow, auth=person("integration"), response={201: SourceShape}, **said("create"))(_create_source)
    router.get(one, auth=person_or_source("flow", "integration"), response=SourceShape, **said("one_of"))(_one_source)
    router.api_operation(
        ["PUT", "PATCH"], one, auth=person_or_source("integration"), response=SourceShape, **said("change_one_of")
    )(_change_source)
    router.delete(one, auth=person("manage", "integration"), response={204: None}, **said("delete_one_of"))(
        _delete_source
    )

# As one page of Flowdock's documentation spells it.
SINGULAR = "/flows/{organization}/{flow}/source/{source_id}"
router.get(
    SINGULAR,
    auth=person_or_source("flow", "integration"),
    response=SourceShape,
    operation_id="one_source_by_its_singular_address",
    deprecated=True,
)(_one_source)
router.delete(
    SINGULAR,
    auth=person("manage", "integration"),
    response={204: None},
    operation_id="delete_source_by_its_singular_address",
    deprecated=True,
)(_delete_source)
