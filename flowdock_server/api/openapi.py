"""The document /openapi.json: django-ninja's description of the calls, and what applies to all of them."""

from copy import deepcopy
from typing import Any

from django.conf import settings
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from flowdock_server.oauth.validator import GRANTS

from . import messages, operation_docs
from .auth import Basic, BearerToken, FlowToken

ABOUT = """\
Flowdock's REST API. Paths may begin with /v1 and end with .json. Parameters are read from the query, from a form
(nested names in brackets) and from JSON, and merged in this order, so a body's parameters can also be sent in the
query. PATCH is the same as PUT. Errors have the format `{"message": …, "errors": {field: [reasons]}}`. "The caller" is
the user that the key belongs to. The streaming API has a separate base URL.
"""
FORM = "application/x-www-form-urlencoded"
FORM_WITH_FILES = "multipart/form-data"
# The paths that accept files: as parts of a form, or in Base64.
WITH_FILES = ("/messages", "/activities", messages.OF_FLOW, messages.OF_THREAD)
EXCHANGE = """\
Exchange an authorization code, a user's e-mail address and password, or a refresh token for an access token.

With `grant_type=authorization_code`, send `code`, and `redirect_uri` if the authorization request had one. With
`password`, send `username`, `password` and `scope`. With `refresh_token`, send `refresh_token`, which works once; the
response contains the next one. A code also works once: using it again revokes the tokens that it was exchanged for. The
client id and secret can be sent by Basic authentication instead. The response is form-encoded, with scopes separated by
commas; or, if the header `Accept` includes application/json, it is JSON, with scopes separated by spaces."""
REVOKE = """\
Revoke an access token or a refresh token of the calling application (RFC 7009).

The response is the same for a token that is unknown or already revoked. `token_type_hint` is `access_token` or
`refresh_token`. The client id and secret can be sent by Basic authentication instead."""
_ERROR = {"$ref": "#/components/schemas/Error"}
# What an error means, for all calls.
ERRORS = {
    400: "a parameter is missing or not valid: `errors` has the reasons by name; or the body cannot be parsed",
    401: "the key is missing, wrong or expired",
    403: "the key does not have the scope, or the caller is not allowed to do this",
    404: "the object does not exist, or the caller may not see it",
    405: "the path does not support this method",
    410: "the source was removed: stop posting to it",
    413: "the body is too large",
    415: "the body's content type is not supported",
    424: "the service refused, failed or did not answer",
    429: "too many requests: wait for as many seconds as `Retry-After` says",
    503: "the server cannot do this now, as the description says: try again later, or after as many seconds as "
    "`Retry-After` says",
}
_KEYS_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error"],
}
# When a new message is answered with something else than 201.
NEW_MESSAGE = {
    200: "if the request has the header `X-flowdock-wait-for-message`",
    202: "if this server is configured to answer without the message",
}
# Errors of /oauth/token and /oauth/revoke: `error` is one of RFC 6749's (5.2).
_KEYS_ERRORS = {
    400: "a parameter is missing, or the code, password or token is not valid; `error` says which",
    401: "the client id is unknown, or the client secret is wrong",
    413: ERRORS[413],
    415: ERRORS[415],
    429: ERRORS[429],
}
_TOKEN = {
    "type": "object",
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"type": "string"},
        "scope": {"type": "string", "description": "The granted scopes, separated by commas"},
        "expires_in": {"type": "integer", "description": "Seconds until the access token expires"},
        "refresh_token": {"type": "string", "description": "Included if offline_access was granted"},
    },
    "required": ["access_token", "token_type", "scope", "expires_in"],
}


# Descriptions of path and query parameters, by name, for all operations.
PARAMETERS = {
    "application": "Only threads of the inbox (`inbox`), of the chat (`chat`), or of the application with this id",
    "application_id": "Id of an application",
    "before": "Where the page starts, from the header `Link` of the previous page; used together with `until`",
    "empty": "Whether to list threads whose messages were all deleted: 1 or 0",
    "event": "Only messages with these events, separated by commas: message,comment",
    "flow": "The flow's `parameterized_name`, as in its URL",
    "id": "Id of the object to find",
    "invitation_id": "Id of an invitation",
    "key": "Key of a file, from the `path` of an attachment",
    "limit": "Maximum number of objects to list: 1 to 100 (default: 30)",
    "name": "The file's name, from the `path` of an attachment",
    "number": "Id of a message, or the position of an action in a thread's `actions`",
    "organization": "The organization's `parameterized_name`, as in its URL",
    "search": "Only messages that contain all these words, or words that begin with them",
    "since": "Only threads that were updated after this time, in ISO 8601",
    "since_id": "Only messages with a greater id",
    "skip": "Number of messages to skip before the first one that is listed",
    "sort": "Whether to list the oldest (`asc`) or the newest (`desc`) if there are more than `limit`",
    "source_id": "Id of a source",
    "tag_mode": "Whether messages must have all of `tags` (`and`) or at least one of them (`or`)",
    "tags": "Only messages with these tags, separated by commas; @nick finds mentions",
    "thread_id": "Id of a thread",
    "tokens": "API tokens of flows, separated by commas; the message is posted to each of these flows",
    "until": "Only threads that were updated before this time, in ISO 8601",
    "until_id": "Only messages with a smaller id",
    "user_id": "Id of a user",
    "users": "Whether each flow includes its users: 1 or 0",
}


class FlowdockAPI(NinjaAPI):
    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        return Description(self, self.get_root_path(path_params or {}) if path_prefix is None else path_prefix)

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__.strip("_")


class Description(OpenAPISchema):
    def __init__(self, api: NinjaAPI, path_prefix: str) -> None:
        super().__init__(api, path_prefix)
        self["info"]["description"] = ABOUT
        self["servers"] = [{"url": settings.SERVER_URL}]
        self["paths"] |= _keys()
        components = self["components"]
        components["schemas"]["Error"] = {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "errors": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
            },
            "required": ["message"],
        }
        components["securitySchemes"] = _security_schemes() | components.get("securitySchemes", {})
        for methods in self["paths"].values():
            for operation in methods.values():
                operation["description"] = operation_docs.complete(operation, components["schemas"])

    def methods(self, operations: list[Operation]) -> dict[str, Any]:
        methods = super().methods(operations)
        for method in methods.values():
            for parameter in method.get("parameters", ()):
                parameter.setdefault("description", PARAMETERS[parameter["name"]])
        if "patch" in methods:
            # ninja uses one object for both methods, but every operation needs its own id.
            methods["patch"] = deepcopy(methods["patch"])
            methods["patch"]["operationId"] += "_by_patch"
            methods["patch"]["summary"] += " (PATCH)"
            methods["patch"]["description"] += "\n\nThe same as PUT: fields that are absent do not change."
        return methods

    def operation_security(self, operation: Operation) -> list[dict[str, Any]]:
        """The keys that the call accepts, one in each entry: an access token needs one of the scopes."""
        security: list[dict[str, Any]] = []
        keys: list[Any] = [*operation.auth_callbacks]
        for auth in keys:
            if isinstance(auth, BearerToken):
                security += [{"OAuth2": [scope]} for scope in auth.scopes] or [{"OAuth2": []}]
            elif isinstance(auth, Basic):
                security.append({"Basic": []})
            elif isinstance(auth, FlowToken):
                security += [{name: []} for name in auth.parameters]
            else:
                name = type(auth).__name__
                security.append({name: []})
                self.securitySchemes[name] = auth.openapi_security_schema
        return security

    def request_body(self, operation: Operation) -> dict[str, Any]:
        body = super().request_body(operation)
        if body:
            # All parameters can be sent in the query instead.
            body["required"] = False
            if "application/json" in body["content"]:
                body["content"][FORM] = body["content"]["application/json"]
                if operation.path in WITH_FILES:
                    body["content"][FORM_WITH_FILES] = body["content"]["application/json"]
        return body

    def responses(self, operation: Operation) -> dict[Any, dict[str, Any]]:
        responses = super().responses(operation)
        # 401 also applies to calls without a scheme: they have their key in the path.
        codes = {400, 401, 403, 404, 413, 415, 429}
        auths = operation.auth_callbacks
        if any(isinstance(auth, FlowToken) for auth in auths):
            codes.add(410)
        if operation.path.endswith("}"):
            codes.add(405)  # another call may have a word in place of the parameter: /flows/all
        for code in codes - responses.keys():
            responses[code] = {"content": {"application/json": {"schema": _ERROR}}}
        if operation.response_models.keys() == messages.POSTED.keys():
            for code, meaning in NEW_MESSAGE.items():
                responses[code]["description"] = meaning
        for code in responses.keys() & ERRORS.keys():
            responses[code]["description"] = ERRORS[code]
        return dict(sorted(responses.items()))


def _security_schemes() -> dict[str, Any]:
    base = f"{settings.SERVER_URL}/oauth"
    scopes = settings.OAUTH2_PROVIDER["SCOPES"]
    flow_token = {"type": "apiKey", "in": "query", "description": FlowToken.openapi_description}
    return {
        "OAuth2": {
            "type": "oauth2",
            "description": BearerToken.openapi_description,
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{base}/authorize",
                    "tokenUrl": f"{base}/token",
                    "refreshUrl": f"{base}/token",
                    "scopes": scopes,
                },
                "password": {"tokenUrl": f"{base}/token", "refreshUrl": f"{base}/token", "scopes": scopes},
            },
        },
        "Basic": {"type": "http", "scheme": "basic", "description": Basic.openapi_description},
        "flow_token": flow_token | {"name": "flow_token"},
        "token": flow_token | {"name": "token"},
    }


def _keys() -> dict[str, Any]:
    """OAuth's own paths, which django-ninja does not serve and which have formats of their own."""
    text: dict[str, Any] = {"type": "string"}

    def by_post(
        operation_id: str, summary: str, description: str, needed: list[str], fields: dict[str, Any], answer: Any
    ) -> dict[str, Any]:
        def both(schema: Any) -> dict[str, Any]:
            return {FORM: {"schema": schema}, "application/json": {"schema": schema}}

        body = {"type": "object", "properties": fields, "required": needed}
        failures = {
            code: {"description": meaning, "content": both(_KEYS_ERROR)} for code, meaning in _KEYS_ERRORS.items()
        }
        done = {"description": "OK"} | ({"content": both(answer)} if answer else {})
        return {
            "post": {
                "operationId": operation_id,
                "summary": summary,
                "description": description,
                "tags": ["oauth"],
                "requestBody": {"content": both(body), "required": False},
                "responses": {200: done, **failures},
            }
        }

    client = {"client_id": text, "client_secret": text}
    token = {
        "grant_type": {"type": "string", "enum": list(GRANTS)},
        **client,
        **dict.fromkeys(("code", "redirect_uri", "username", "password", "refresh_token", "scope"), text),
    }
    return {
        "/oauth/token": by_post(
            "token",
            "Token",
            EXCHANGE,
            ["grant_type", "client_id", "client_secret"],
            token,
            _TOKEN,
        ),
        "/oauth/revoke": by_post(
            "revoke",
            "Revoke",
            REVOKE,
            ["token", "client_id", "client_secret"],
            {"token": text, "token_type_hint": text, **client},
            None,
        ),
    }
