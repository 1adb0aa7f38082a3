"""OAuth applications: registering one without a browser, and retrieving the application of a source."""

from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from flowdock_server.models import Application
from flowdock_server.parsing.params import Merged
from flowdock_server.posting.drafts import Rejected, Shape
from flowdock_server.secrets.tokens import new_token

from .auth import ApiRequest, Basic, PersonRequest, person
from .shapes import ApplicationShape, application_shape

router = Router(tags=["applications"])


def _one_address(value: str) -> str:
    # The toolkit would accept several URIs separated by spaces.
    if len(value.split()) > 1:
        raise PydanticCustomError("address", "must be a single address")
    return value.strip()


class NewApplication(Shape):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    redirect_uri: Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_one_address)]


class Registration(Shape):
    application: NewApplication


class RegisteredShape(TypedDict):
    id: int
    name: str
    redirect_uri: str
    client_id: str
    client_secret: str


@router.post("/oauth/applications", auth=[Basic()], response={201: RegisteredShape})
def register_application(request: ApiRequest, new: Annotated[Registration, Merged(...)]) -> Any:
    """Register an OAuth application that belongs to the caller. Only this response contains its `client_secret`."""
    secret = new_token() + new_token()
    application = Application.draft(
        user=request.auth.user,
        name=new.application.name,
        redirect_uris=new.application.redirect_uri,
        client_secret=secret,
    )
    try:
        application.full_clean(exclude=["client_secret"])
    except ValidationError as error:
        raise Rejected({"application.redirect_uri": error.messages}) from error
    application.save()
    return Status(
        201,
        {
            "id": application.pk,
            "name": application.name,
            "redirect_uri": application.redirect_uris,
            "client_id": application.client_id,
            "client_secret": secret,
        },
    )


@router.get("/oauth/applications/{application_id}", auth=person(), response=ApplicationShape)
def one_application(request: PersonRequest, application_id: int) -> ApplicationShape:
    """Retrieve the name, icon and URLs of an OAuth application by its id, without its client id and secret."""
    return application_shape(get_object_or_404(Application, pk=application_id))
