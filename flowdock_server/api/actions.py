"""Running the actions of a thread: the URLs that its UpdateActions have for their readers."""

from typing import Annotated, Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from ninja import Router
from pydantic import Field
from typing_extensions import TypedDict

from flowdock_server.parsing.params import Merged
from flowdock_server.posting import actions
from flowdock_server.posting.drafts import Shape

from .auth import PersonRequest, person
from .errors import failure
from .flows import open_flow
from .shapes import ErrorShape

router = Router(tags=["threads"])


class Press(Shape):
    signature: Annotated[str, Field(min_length=1, max_length=64)]


class PressedShape(TypedDict):
    message: str


@router.post(
    "/flows/{organization}/{flow}/threads/{thread_id}/actions/{number}",
    auth=person("flow"),
    response={200: PressedShape, 424: ErrorShape, 503: ErrorShape},
)
def press(
    request: PersonRequest,
    organization: str,
    flow: str,
    thread_id: str,
    number: int,
    pressed: Annotated[Press, Merged(...)],
) -> Any:
    """Run an UpdateAction of a thread, as its button does: the server sends the request to the action's service.

    The `target` of the action in the thread's `actions` is this URL with its `signature`. 401 with
    `WWW-Authenticate: Flowdock-Token url=…` if the caller has to sign in to the service first; 424 if the service
    refuses, fails or does not answer; 404 if the thread no longer has this action; 503 with `Retry-After`, without a
    request to the service, while too many services have not answered yet.
    """
    opened = open_flow(request.auth, organization, flow)
    threads = opened.threads.with_source()
    thread = get_object_or_404(threads, pk=thread_id)
    try:
        outcome = actions.press(thread, number, request.auth.user, pressed.signature)
    except actions.NoSuchAction as error:
        raise Http404 from error
    except actions.TooManyCalls as error:
        response = failure(503, str(error))
        response["Retry-After"] = str(actions.RETRY_AFTER)
        return response
    if outcome.done:
        return {"message": outcome.message}
    return _challenge(outcome) if outcome.url else failure(424, outcome.message)


def _challenge(outcome: actions.Outcome) -> HttpResponse:
    response = JsonResponse({"message": outcome.message, "url": outcome.url}, status=401)
    response["WWW-Authenticate"] = f"Flowdock-Token url={outcome.url}"
    return response
