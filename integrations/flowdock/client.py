"""Flowdock's REST API, as far as the bridge uses it; `posting` posts the activities.

Source: Flowdock's api-docs (flows.md, sources.md, messages.md, production-integrations.md). Where those contradict each
other, this client relies only on what they share: any 2xx is success, ids are texts or numbers, `links` may be missing.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from django.conf import settings

from integrations.activity import is_web_address

from . import payload
from .answers import MAX_ANSWER_BYTES, Answer, as_objects, optional_text, refused, required_id
from .errors import (
    FlowdockError,
    FlowdockUnavailable,
    FlowdockUnreachable,
    FlowNotAccessible,
    SourceGone,
    SourceRejected,
    TokenRefused,
)
from .transport import OneDeadlineAdapter

TOKEN_IN_ADDRESS = re.compile(r"((?:flow_token|access_token)=)[^&\s\"']+")


class HideTokens(logging.Filter):
    """Removes tokens from the addresses that urllib3 logs: some calls take a flow_token in the query string only."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                TOKEN_IN_ADDRESS.sub(r"\1hidden", arg) if isinstance(arg, str) else arg for arg in record.args
            )
        return True


logging.getLogger("urllib3.connectionpool").addFilter(HideTokens())


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    nick: str
    email: str


@dataclass(frozen=True, slots=True)
class Flow:
    """`url` and `sources_url` are addresses in the API, `web_url` is the page that people open (or empty).

    `organization` is the `parameterized_name` of its organization, which is unique in Flowdock and never changes.
    """

    id: str
    name: str
    url: str
    web_url: str
    organization: str
    organization_name: str
    sources_url: str


@dataclass(frozen=True, slots=True)
class Source:
    """`flow_token` is empty except in the answer to the creation of the source: Flowdock returns it only once."""

    id: int
    name: str
    url: str
    flow_token: str
    external_url: str
    creator_id: str = ""
    created_at: dt.datetime | None = None


class Flowdock:
    """One keep-alive connection to Flowdock, with a person's access token or without. For one thread at a time.

    Every method raises FlowdockUnavailable if there is no usable answer, TokenRefused on 401, FlowNotAccessible on 403
    and 404, SourceGone on 410. `timeout` is in seconds, for a whole call from connecting to the answer's last byte.
    """

    def __init__(self, access_token: str = "", timeout: float | None = None) -> None:
        self.access_token = access_token
        self.timeout = settings.FLOWDOCK_TIMEOUT if timeout is None else timeout
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, OneDeadlineAdapter())
        # The machine's proxy settings and .netrc must not decide where tokens are sent.
        self.session.trust_env = False
        if settings.FLOWDOCK_CA_FILE:
            self.session.verify = settings.FLOWDOCK_CA_FILE
        # The next call may be another integration's and must not send the cookies of this one.
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.session.headers.update({"Accept": "application/json", "User-Agent": "Flowdock-Bridge"})
        if access_token:
            self.session.headers["Authorization"] = f"Bearer {access_token}"

    def __enter__(self) -> Flowdock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()

    # As a person, with their access token

    def user(self) -> Person:
        """The person whose access token this is."""
        resource = self._ask("GET", "/user").object()
        return Person(
            id=required_id(resource, "id"),
            name=optional_text(resource, "name"),
            nick=optional_text(resource, "nick"),
            email=optional_text(resource, "email"),
        )

    def flows(self) -> list[Flow]:
        """The flows that the person is in."""
        return [_flow(resource) for resource in as_objects(self._ask("GET", "/flows").json())]

    def find_flow(self, flow_id: str) -> Flow:
        """The flow, if the person can open it now. Raises FlowNotAccessible if not, or if `flow_id` is empty."""
        if not flow_id:
            raise FlowNotAccessible("no flow was given")
        return _flow(self._ask("GET", "/flows/find", params={"id": flow_id}).object())

    def sources(self, flow: Flow) -> list[Source]:
        """The sources of the flow, of all applications."""
        return [
            _source(resource, flow.sources_url) for resource in as_objects(self._ask("GET", flow.sources_url).json())
        ]

    def create_source(self, flow: Flow, name: str, external_url: str) -> Source:
        """Create a source in the flow; the answer has its flow_token. Also raises SourceRejected."""
        answer = self._ask(
            "POST",
            flow.sources_url,
            json={"name": name, "external_url": external_url} if external_url else {"name": name},
            refusal=SourceRejected,
        )
        source = _source(answer.object(), flow.sources_url)
        if not source.flow_token:
            raise FlowdockUnavailable("Flowdock created a source, but did not send its flow_token")
        return source

    def delete_source(self, url: str) -> None:
        """Delete the source at the API address `url`. Raises FlowNotAccessible or SourceGone if it no longer exists."""
        self._ask("DELETE", url)

    # As an integration, with its flow_token

    def source_of(self, flow_token: str) -> Source:
        """The source that the token belongs to."""
        resource = self._ask("GET", "/sources", params={"flow_token": flow_token}).json()
        sources = [_source(item, "") for item in as_objects(resource if isinstance(resource, list) else [resource])]
        if not sources:
            raise SourceGone("Flowdock has no source with this flow_token")
        return sources[0]

    def update_source(
        self, flow_token: str, *, error_message: str | None = None, configuration_url: str | None = None
    ) -> None:
        """Set what the flow shows next to the source. None leaves a value unchanged, an empty text clears it."""
        changes = {"error_message": error_message, "configuration_url": configuration_url}
        self._ask(
            "PUT",
            "/sources",
            json={"flow_token": flow_token, **{name: value for name, value in changes.items() if value is not None}},
            refusal=SourceRejected,
        )

    # As the application

    def exchange_code(self, url: str, fields: Mapping[str, str]) -> Mapping[str, Any]:
        """The token request of OAuth: the fields of the answer, in JSON or as a form, including an OAuth `error`."""
        answer = self._send("POST", url, data=dict(fields))
        if answer.status >= 500 or answer.status == 429:
            raise refused(answer, FlowdockUnavailable, [self.access_token])
        if answer.body.lstrip().startswith(b"{"):
            return answer.object()
        resource = answer.form()
        if not resource.keys() & {"access_token", "error"}:
            raise FlowdockUnavailable(f"Flowdock answered {answer.status} without a token")
        return resource

    def check_application(self) -> None:
        """Check that Flowdock knows FLOWDOCK_CLIENT_ID and FLOWDOCK_CLIENT_SECRET. Raises TokenRefused if it does not.

        It tries to exchange a code that does not exist, and so the answer can only be an error.
        """
        fields = {
            "grant_type": "authorization_code",
            "code": "check",
            "redirect_uri": f"{settings.BRIDGE_URL}/complete/flowdock/",
            "client_id": settings.FLOWDOCK_CLIENT_ID,
            "client_secret": settings.FLOWDOCK_CLIENT_SECRET,
        }
        error = str(self.exchange_code(f"{settings.FLOWDOCK_API_URL}/oauth/token", fields).get("error", ""))
        if error in {"invalid_client", "unauthorized_client"}:
            raise TokenRefused(f"Flowdock answered {error}")
        if error != "invalid_grant":
            raise FlowdockUnavailable(f"Flowdock answered a token request with {error[:100] or 'no error'}")

    def revoke(self, access_token: str) -> None:
        """Revoke the token (RFC 7009). Raises FlowNotAccessible if this Flowdock has no such call."""
        fields = {
            "token": access_token,
            "client_id": settings.FLOWDOCK_CLIENT_ID,
            "client_secret": settings.FLOWDOCK_CLIENT_SECRET,
        }
        answer = self._send("POST", "/oauth/revoke", data=fields)
        if not 200 <= answer.status < 300:
            raise refused(answer, FlowdockUnavailable, [self.access_token, access_token])

    # The transport

    def _ask(
        self,
        method: str,
        path_or_url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        refusal: type[FlowdockError] = FlowdockUnavailable,
    ) -> Answer:
        """Call Flowdock and return its 2xx answer. `refusal` is the error to raise on 400, 413 and 422."""
        answer = self._send(method, path_or_url, params=params, json=json)
        if not 200 <= answer.status < 300:
            raise refused(answer, refusal, [self.access_token])
        return answer

    def _send(self, method: str, path_or_url: str, **how: Any) -> Answer:
        url = f"{settings.FLOWDOCK_API_URL}{path_or_url}" if path_or_url.startswith("/") else path_or_url
        if not is_on_api(url):
            raise FlowdockUnavailable("an address outside Flowdock's API was not followed")
        timeout = urllib3.Timeout(total=self.timeout)
        try:
            with self.session.request(
                method,
                url,
                timeout=timeout,  # type: ignore[arg-type]  # requests takes urllib3's own as well
                allow_redirects=False,
                stream=True,
                **how,
            ) as response:
                body = b"".join(_chunks(response))
                return Answer(response.status_code, response.headers, body)
        # "from None": the texts of these errors contain the whole address, which may include a flow_token.
        except requests.exceptions.SSLError:
            raise FlowdockUnreachable("Flowdock's certificate could not be verified") from None
        except requests.ConnectTimeout:
            raise FlowdockUnreachable(f"Flowdock could not be reached within {self.timeout:g} s") from None
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise FlowdockUnavailable(f"Flowdock did not answer within {self.timeout:g} s") from None
        except requests.ConnectionError as error:
            if _was_connected(error):
                raise FlowdockUnavailable("Flowdock closed the connection, or its answer was not HTTP") from None
            raise FlowdockUnreachable("Flowdock could not be reached") from None
        except urllib3.exceptions.HTTPError:
            raise FlowdockUnavailable("Flowdock's answer was incomplete") from None
        # OSError covers all errors of requests, and a certificate file that cannot be read.
        except OSError as error:
            raise FlowdockUnavailable(f"Flowdock could not be called ({type(error).__name__})") from None


def is_on_api(url: str) -> bool:
    """Whether `url` has the scheme, host and port of FLOWDOCK_API_URL. No token is ever sent to any other."""
    try:
        return _place(url) == _place(settings.FLOWDOCK_API_URL) and "@" not in urlsplit(url).netloc
    except ValueError:
        return False


def _place(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


def _was_connected(error: requests.ConnectionError) -> bool:
    """Whether the call failed after the connection was made: urllib3 raises different errors before and after."""
    cause = error.args[0] if error.args else None
    return not isinstance(cause, urllib3.exceptions.MaxRetryError) and cause is not None


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body, up to MAX_ANSWER_BYTES."""
    size = 0
    while chunk := response.raw.read1(64 * 1024, decode_content=True):
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise FlowdockUnavailable(f"Flowdock answered {response.status_code} with more than {MAX_ANSWER_BYTES} B")
        yield chunk


def _flow(resource: Mapping[str, Any]) -> Flow:
    url = optional_text(resource, "url")
    if not is_on_api(url):
        raise FlowdockUnavailable("Flowdock gave a flow an address outside its API")
    organization = resource.get("organization")
    key = optional_text(organization, "parameterized_name") if isinstance(organization, Mapping) else ""
    if isinstance(organization, Mapping):
        organization = optional_text(organization, "name")
    web_url = optional_text(resource, "web_url")
    return Flow(
        id=required_id(resource, "id"),
        name=(optional_text(resource, "name") or optional_text(resource, "parameterized_name"))[:255],
        url=url,
        web_url=web_url if is_web_address(web_url) and len(web_url) <= 500 else "",
        organization=(key or organization_in(url))[:100],
        organization_name=organization[:255] if isinstance(organization, str) else "",
        sources_url=_linked_sources(resource) or f"{url.rstrip('/')}/{payload.sources_segment()}",
    )


def organization_in(url: str) -> str:
    """The `parameterized_name` of the organization in the API's address of a flow or a source, or empty."""
    match = re.match(r".*?/flows/([^/]+)/[^/]+", urlsplit(url).path)
    return match[1] if match else ""


def _linked_sources(resource: Mapping[str, Any]) -> str:
    """The address of the flow's sources in its `links`, or empty. No document specifies their format."""
    for links in (resource.get("links"), resource.get("_links")):
        if not isinstance(links, Mapping):
            continue
        for name in ("sources", "integrations"):
            entry = links.get(name)
            href = entry.get("href") if isinstance(entry, Mapping) else entry
            if isinstance(href, str) and is_on_api(href):
                return href
    return ""


def _source(resource: Mapping[str, Any], sources_url: str) -> Source:
    text = required_id(resource, "id")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise FlowdockUnavailable("Flowdock answered in an unknown format: a source's id is not a number")
    url = optional_text(resource, "url")
    if not is_on_api(url):
        # The answers of October 2014 have no url.
        url = f"{sources_url.rstrip('/')}/{text}" if sources_url else ""
    creator = resource.get("creator")
    return Source(
        id=int(text),
        name=optional_text(resource, "name"),
        url=url,
        flow_token=optional_text(resource, "flow_token"),
        external_url=optional_text(resource, "external_url"),
        creator_id=str(creator.get("id") or "") if isinstance(creator, Mapping) else "",
        created_at=_moment(optional_text(resource, "created_at")),
    )


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
