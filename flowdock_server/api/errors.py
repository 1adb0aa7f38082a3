"""Errors in Flowdock's format: {"message": ..., "errors": {field: [reasons]}}."""

from typing import Any, get_args

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic_core.core_schema import ErrorType

from flowdock_server.parsing.params import TooLarge, Unreadable, Unsupported
from flowdock_server.people.sign_in import TooManyAttempts
from flowdock_server.posting.drafts import BLANK, Refused, Rejected

MESSAGES = {
    400: "The request is not valid",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "This address does not support this method",
    413: "The request body is too large",
    415: "The content type of the request is not supported",
    429: "Too many requests",
    500: "Internal server error",
}


# Errors with pydantic's own messages, which speak of inputs and parsing. `field_and_reason` rewords them.
_OF_THE_LIBRARY = frozenset(get_args(ErrorType))


class Forbidden(HttpError):
    """403: the caller is authenticated but not allowed to do this."""

    def __init__(self, message: str) -> None:
        super().__init__(403, message)


class Gone(HttpError):
    """410: the source was removed, so its token is no longer valid."""

    def __init__(self) -> None:
        super().__init__(410, "This source was removed from the flow. Stop posting and delete its flow token.")


def failure(status: int, message: str = "", errors: dict[str, list[str]] | None = None) -> HttpResponse:
    answer: dict[str, Any] = {"message": message or MESSAGES.get(status, "Failed")}
    if errors:
        answer["errors"] = errors
    response = JsonResponse(answer, status=status, content_type="application/json; charset=utf-8")
    if status == 401:
        response["WWW-Authenticate"] = 'Basic realm="Flowdock"'
    return response


def too_many_requests(message: str, retry_after: int) -> HttpResponse:
    """429: the caller may try again after `retry_after` seconds."""
    response = failure(429, message)
    response["Retry-After"] = str(retry_after)
    return response


def field_and_reason(error: dict[str, Any]) -> tuple[str, str]:
    """The dotted name of the field and the reason, of one of pydantic's errors."""
    location = [str(part) for part in error["loc"] if part != "response"]
    # The location starts with where the parameter was sent and, for a merged one, the name of the view's argument.
    name = ".".join(location[2:] if location[:1] == ["body"] else location[1:]) or "body"
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return name, BLANK
        case "string_too_short":
            return name, BLANK
        case "string_pattern_mismatch" if context["pattern"] == r"\S":
            return name, BLANK
        case "string_too_long":
            return name, f"is too long (maximum is {context['max_length']} characters)"
        case "too_long":
            return name, f"has too many entries (maximum is {context['max_length']})"
        case "literal_error":
            return name, f"must be one of {context['expected']}"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return name, "must be a whole number"
        case "greater_than_equal":
            return name, f"must be {context['ge']} or more"
        case "less_than_equal":
            return name, f"must be {context['le']} or less"
        case "bool_type" | "bool_parsing":
            return name, "must be true or false"
        case "string_type":
            return name, "must be a string"
        case "list_type":
            return name, "must be a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return name, "must be an object"
        case kind if kind.startswith("datetime_"):
            return name, "must be a time in ISO 8601, such as 2014-10-29T12:00:00Z"
        case kind if kind not in _OF_THE_LIBRARY:
            return name, error["msg"]
    return name, "is not valid"


def by_field(errors: list[dict[str, Any]]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for error in errors:
        name, reason = field_and_reason(error)
        if reason not in reasons.setdefault(name, []):
            reasons[name].append(reason)
    return reasons


def register(api: NinjaAPI) -> None:
    """Make `api` answer every exception of a view in Flowdock's format."""

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        if any(each["loc"][0] == "path" for each in error.errors):
            # A malformed id in the path belongs to nothing.
            return failure(404)
        return failure(400, "Validation error", by_field(error.errors))

    @api.exception_handler(Rejected)
    def rejected(request: HttpRequest, error: Rejected) -> HttpResponse:
        return failure(400, "Validation error", error.errors)

    @api.exception_handler(Refused)
    def not_allowed(request: HttpRequest, error: Refused) -> HttpResponse:
        return failure(403, str(error))

    @api.exception_handler(Unreadable)
    def unreadable(request: HttpRequest, error: Unreadable) -> HttpResponse:
        return failure(400, str(error))

    @api.exception_handler(Unsupported)
    def unsupported(request: HttpRequest, error: Unsupported) -> HttpResponse:
        return failure(415, str(error))

    @api.exception_handler(TooLarge)
    def too_large(request: HttpRequest, error: TooLarge) -> HttpResponse:
        return failure(413)

    @api.exception_handler(Http404)
    def missing(request: HttpRequest, error: Http404) -> HttpResponse:
        return failure(404)

    @api.exception_handler(AuthenticationError)
    def unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        return failure(401)

    @api.exception_handler(TooManyAttempts)
    def guessing(request: HttpRequest, error: TooManyAttempts) -> HttpResponse:
        return too_many_requests(str(error), error.retry_after)

    @api.exception_handler(HttpError)
    def refused(request: HttpRequest, error: HttpError) -> HttpResponse:
        return failure(error.status_code, error.message)
