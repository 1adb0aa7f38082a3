"""Completes the texts of operations with sentences about keys, parameters, responses and errors.

Some tools show nothing but an operation's text of /openapi.json. Docstrings say what the call does; these sentences say
the rest, and they are made from the operation's own description, so they cannot contradict it.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

KEYS = {
    "Basic": "Basic authentication",
    "flow_token": "a source's `flow_token`",
    "token": "the same secret as `token`",
    "SignedIn": "the session cookie of somebody who is signed in to the pages",
}


def complete(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """The operation's text, completed. `schemas` are those that it refers to."""
    paragraphs = [
        operation["description"],
        " ".join(sentence for sentence in (_keys(operation), *_parameters(operation, schemas)) if sentence),
        _responses(operation["responses"]),
        _errors(operation["responses"]),
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _keys(operation: dict[str, Any]) -> str:
    """Which keys the operation accepts. Empty without a security scheme: the key is then one of the parameters."""
    security: list[dict[str, list[str]]] = operation.get("security", [])
    keys = [KEYS[name] for key in security for name in key if name != "OAuth2"]
    if any("OAuth2" in key for key in security):
        scopes = _either(f"`{scope}`" for key in security for scope in key.get("OAuth2", ()))
        keys.insert(0, f"an access token with the scope {scopes}" if scopes else "an access token with any scope")
    if not keys:
        return ""
    return f"Requires {keys[0]}." if len(keys) == 1 else f"Requires one of these keys: {'; '.join(keys)}."


def _parameters(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterable[str]:
    parameters = operation.get("parameters", [])
    for place in ("path", "query"):
        found = {each["name"]: each.get("required", False) for each in parameters if each["in"] == place}
        if found:
            required = [name for name, is_required in found.items() if is_required]
            yield f"{place.capitalize()} parameters: {_fields({'properties': found, 'required': required})}."
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        schema = _resolved(next(iter(content.values()))["schema"], schemas)
        yield f"Body or query parameters: {_fields(schema)}."


def _responses(responses: dict[Any, Any]) -> str:
    texts = (
        f"{code} {_content(each)}{_when(int(code), each)}"
        for code, each in sorted(responses.items())
        if int(code) < 400
    )
    return f"Returns {_either(texts)}."


def _when(code: int, response: dict[str, Any]) -> str:
    words: str = response["description"]
    return "" if words == HTTPStatus(code).phrase else f" ({words})"


def _errors(responses: dict[Any, Any]) -> str:
    errors = (f"{code} ({each['description']})" for code, each in sorted(responses.items()) if int(code) >= 400)
    return f"Errors: {', '.join(errors)}."


def _content(response: dict[str, Any]) -> str:
    if not response.get("content"):
        return "without a body"
    schema = next(iter(response["content"].values()))["schema"]
    if "$ref" in schema:
        return f"with `{_name(schema)}`"
    if "items" in schema:
        return f"with a list of `{_name(schema['items'])}`"
    if "properties" in schema:
        return f"with {_fields(schema)}"
    return "with an object"


def _name(schema: dict[str, Any]) -> str:
    name: str = schema["$ref"].rpartition("/")[2]
    return name


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return schemas[_name(schema)] if "$ref" in schema else schema


def _fields(schema: dict[str, Any]) -> str:
    """The names of an object's fields: first the required ones, then the optional ones."""
    required = schema.get("required", ())
    optional = [f"`{name}`" for name in schema["properties"] if name not in required]
    names = [f"`{name}`" for name in schema["properties"] if name in required]
    if optional:
        names.append(f"optionally {', '.join(optional)}")
    return ", ".join(names)


def _either(words: Iterable[str]) -> str:
    *others, last = list(words) or [""]
    return f"{', '.join(others)} or {last}" if others else last
