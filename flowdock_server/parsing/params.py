"""Parameters of a request: from the query, a form (with brackets and files) and JSON, merged in this order."""

import io
import re
from typing import Annotated, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.utils.datastructures import MultiValueDict
from ninja import NinjaAPI
from ninja.params.models import Body, BodyModel
from pydantic import BeforeValidator, Field

from flowdock_server.parsing import strict_json
from flowdock_server.parsing.numbers import LARGEST
from flowdock_server.parsing.storable import is_storable

MAX_DEPTH = 20
_KEY = re.compile(r"\A([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")

# The charsets that a form may have, other than UTF-8.
_CHARSETS = {"iso-8859-1": "latin-1", "latin1": "latin-1", "windows-1252": "cp1252"}


# An id in a path.
Id = Annotated[int, Field(le=LARGEST)]


def _blank_is_default(value: Any) -> Any:
    return DEFAULT_LIMIT if value == "" else value


DEFAULT_LIMIT = 30
# How many objects a list shows. An empty value counts as absent.
Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(_blank_is_default)]


class Unreadable(ValueError):
    """400: the parameters cannot be parsed. The message says why."""


class Unsupported(ValueError):
    """415: the server does not support the content type of the body."""


class TooLarge(Exception):
    """413: the body is larger than the limit."""


def of(request: HttpRequest) -> dict[str, Any]:
    """The result of `read(request)`, which is kept on the request."""
    if (parameters := getattr(request, "_flowdock_parameters", None)) is None:
        parameters = request._flowdock_parameters = read(request)  # type: ignore[attr-defined]
    return parameters


def read(request: HttpRequest) -> dict[str, Any]:
    """Parse all parameters of `request`, nested ones into dicts and lists.

    Raises Unreadable, Unsupported or TooLarge.
    """
    if request.encoding:
        # The charset applies only to a form in the body (`_form`); queries and JSON are always UTF-8. Django would
        # apply it to the query too, and refuse the form.
        request.encoding = "utf-8"
    try:
        parameters = unbracket(request.GET)
        if len(request.body) > settings.MAX_BODY_BYTES:
            # Django checks Content-Length, which a chunked body does not have.
            raise TooLarge
        if _is_json(request):
            if body := request.body.strip():
                parameters |= _json_object(body)
        elif request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
            parameters |= unbracket(_form(request))
            if request.method == "POST":
                parameters |= unbracket(request.FILES)
        elif request.body.strip():
            raise Unsupported("Send the body as application/json or application/x-www-form-urlencoded")
    except RequestDataTooBig as error:
        raise TooLarge from error
    except (MultiPartParserError, TooManyFieldsSent) as error:
        raise Unreadable(str(error) or "The form cannot be parsed") from error
    check_texts(parameters)
    return parameters


def _is_json(request: HttpRequest) -> bool:
    """Whether the body is JSON: by its content type, or by its first byte if there is none, as from some Go clients."""
    if request.content_type:
        return request.content_type == "application/json"
    return request.body.lstrip()[:1] in (b"{", b"[")


def _form(request: HttpRequest) -> QueryDict:
    if request.content_type == "application/x-www-form-urlencoded":
        # Java's HttpClient sends forms in Latin-1.
        charset = (request.content_params or {}).get("charset", "").lower()
        return QueryDict(request.body, encoding=_CHARSETS.get(charset, "utf-8"))
    if request.method == "POST":
        return request.POST
    # Django parses forms of POST requests only.
    return request.parse_file_upload(request.META, io.BytesIO(request.body))[0]


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = strict_json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unreadable("The body is not valid UTF-8") from error
    except ValueError as error:
        raise Unreadable(f"The body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise Unreadable("The body is nested too deeply") from error
    if not isinstance(value, dict):
        raise Unreadable("The body must be a JSON object")
    return value


def check_texts(value: Any, depth: int = 0) -> None:
    """Raise Unreadable if a string in `value` cannot be stored, or `value` is nested too deeply."""
    if depth > MAX_DEPTH:
        raise Unreadable(f"The parameters are nested too deeply (maximum is {MAX_DEPTH} levels)")
    if isinstance(value, str):
        if not is_storable(value):
            raise Unreadable("A parameter contains a character that cannot be stored: NUL or half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            check_texts(key, depth)
            check_texts(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_texts(item, depth + 1)


def unbracket(form: MultiValueDict[str, Any]) -> dict[str, Any]:
    """Turn `thread[title]=A&tags[]=a&tags[]=b&thread[fields][0][label]=L` into nested dicts and lists.

    If a name is repeated, its last value counts. In a list of objects (`fields[][label]`) a repeated name starts the
    next object; numbers in brackets make a list, in their order.
    """
    root: dict[str, Any] = {}
    for name, values in form.lists():
        match = _KEY.match(name)
        if not match:
            root[name] = values[-1]
            continue
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(path) > MAX_DEPTH:
            raise Unreadable(f"The parameters are nested too deeply (maximum is {MAX_DEPTH} levels)")
        for value in values if "" in path else values[-1:]:
            _put(root, path, value)
    return {name: _numbered_as_lists(value) for name, value in root.items()}


def _put(container: dict[str, Any], path: list[str], value: Any) -> None:
    name, *rest = path
    if not rest:
        container[name] = value
    elif rest[0] != "":
        child = container.get(name)
        if not isinstance(child, dict):
            child = container[name] = {}
        _put(child, rest, value)
    else:
        items = container.get(name)
        if not isinstance(items, list):
            items = container[name] = []
        if len(rest) == 1:
            items.append(value)
            return
        # In a form the fields of an object follow each other, but a QueryDict groups by name: all `fields[][label]`
        # come before all `fields[][value]`. So a value goes to the first object that does not have its name yet.
        lacking = next((item for item in items if isinstance(item, dict) and rest[1] not in item), None)
        if lacking is None:
            lacking = {}
            items.append(lacking)
        _put(lacking, rest[1:], value)


def _numbered_as_lists(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbered_as_lists(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value and all(name.isascii() and name.isdigit() and len(name) < 6 for name in value):
        return [_numbered_as_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _numbered_as_lists(item) for name, item in value.items()}


class _MergedModel(BodyModel):
    @classmethod
    def get_request_data(cls, request: HttpRequest, api: NinjaAPI, path_params: dict[str, Any]) -> dict[str, Any]:
        return {cls.__read_from_single_attr__: of(request)}


class Merged(Body):  # type: ignore[misc]
    """Marks an argument of a view that is read from all parameters: query, form and JSON.

    ninja's own Body reads JSON only, and nothing if the body is empty and the query is not.
    """

    _model = _MergedModel

    @classmethod
    def _param_source(cls) -> str:
        return "body"
