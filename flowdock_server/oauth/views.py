"""/oauth/authorize, /oauth/token and /oauth/revoke.

Pages, in `flowdock_server/templates/flowdock_server`:

    consent.html       application; scopes: requested now; granted: granted earlier; others_granted: granted earlier and
                       not requested now (lists of Scope); is_all_granted: whether nothing new is requested; account:
                       the User. Its form posts to the page's own URL, with `allow` = "yes" or "no".
    oauth_error.html   sentence: what is wrong with the request; denied: whether the person did not allow it. Used if
                       there must not be a redirect.
    oauth_code.html    application (or None); code: the code that the person copies into an out-of-band client.
"""

import json
from abc import ABC, abstractmethod
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

from csp.decorators import csp_update
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from oauth2_provider.exceptions import FatalClientError, OAuthToolkitError
from oauth2_provider.models import get_grant_model
from oauth2_provider.views.mixins import OAuthLibMixin
from oauthlib.oauth2 import AccessDeniedError, OAuth2Error
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientIdError,
    InvalidRedirectURIError,
    InvalidScopeError,
    MismatchingRedirectURIError,
    MissingClientIdError,
)

from flowdock_server.models import Application, User
from flowdock_server.models.applications import OUT_OF_BAND
from flowdock_server.parsing import params
from flowdock_server.people import rate_limits
from flowdock_server.people.sign_in import TooManyAttempts

from .grants import granted
from .request_parsing import AuthorizeCore, TokenCore
from .scopes import described

# What the toolkit returns: the address to redirect to, the headers, the body and the status.
Answer = tuple[str | None, dict[str, str], str, int]
DENIED = "You did not allow the application to access your account, so nothing was connected."


@method_decorator(never_cache, name="dispatch")
class AuthorizeView(LoginRequiredMixin, OAuthLibMixin, View):
    """Ask the signed-in person to grant the application access.

    The page is shown even if access was granted before, because it says which account the application gets.
    """

    oauthlib_backend_class = AuthorizeCore

    def get(self, request: HttpRequest) -> HttpResponseBase:
        try:
            scopes, credentials = self.validate_authorization_request(request)
        except OAuthToolkitError as error:
            return self.refuse(request, error)
        application = Application.objects.get(client_id=credentials["client_id"])
        requested, allowed = described(scopes), described(granted(cast(User, request.user), application))
        # Browsers apply form-action to redirects too, and the form's response redirects to the application.
        show = csp_update({"form-action": _origin(credentials["redirect_uri"])})(render)
        answer: HttpResponseBase = show(
            request,
            "flowdock_server/consent.html",
            {
                "application": application,
                "scopes": requested,
                "granted": allowed,
                "is_all_granted": all(scope in allowed for scope in requested),
                "others_granted": [scope for scope in allowed if scope not in requested],
                "account": request.user,
            },
        )
        return answer

    def post(self, request: HttpRequest) -> HttpResponseBase:
        try:
            scopes, credentials = self.validate_authorization_request(request)
            address, *_ = self.create_authorization_response(
                request, " ".join(scopes), credentials, allow=request.POST.get("allow") == "yes"
            )
        except OAuthToolkitError as error:
            return self.refuse(request, error)
        if credentials["redirect_uri"] == OUT_OF_BAND:
            return redirect("oauth-code", code=parse_qs(urlsplit(address).query)["code"][0])
        return HttpResponseRedirect(address)

    def refuse(self, request: HttpRequest, error: OAuthToolkitError) -> HttpResponse:
        """Redirect to the application with the error; show it to the person if the application is not certain."""
        _, answer = self.error_response(error)
        oauth_error = error.oauthlib_error
        if isinstance(error, FatalClientError) or oauth_error.redirect_uri in (None, OUT_OF_BAND):
            denied = isinstance(oauth_error, AccessDeniedError)
            return render(
                request,
                "flowdock_server/oauth_error.html",
                {"sentence": DENIED if denied else _sentence(oauth_error), "denied": denied},
                status=200 if denied else 400,
            )
        return HttpResponseRedirect(answer["url"])


def _origin(address: str) -> list[str]:
    """The origin of a redirect URI, for the Content-Security-Policy; empty for the out-of-band URI."""
    parts = urlsplit(address)
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []


def _sentence(error: OAuth2Error) -> str:
    """What is wrong with an authorization request, in words for a person."""
    match error:
        case InvalidClientIdError() | MissingClientIdError():
            return "No application with this client ID is registered on this server. It may have been deleted."
        case MismatchingRedirectURIError() | InvalidRedirectURIError():
            return "The application sent a redirect URI that is not registered for it."
        case InvalidScopeError():
            return "The application requested a scope that does not exist on this server."
        case _:
            return f"The application sent a request that this server cannot process: {error.description or error.error}"


@method_decorator(never_cache, name="dispatch")
class CodeView(LoginRequiredMixin, View):
    """Show the code for an out-of-band client, which may also read it from the URL."""

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        grant = get_grant_model().objects.filter(code=code, user=request.user).select_related("application").first()
        if grant is None or grant.is_expired():
            sentence = "This code was already used, or it is older than 10 minutes. Start again in the application."
            return render(request, "flowdock_server/oauth_error.html", {"sentence": sentence}, status=404)
        context = {"application": grant.application, "code": code}
        return render(request, "flowdock_server/oauth_code.html", context)


@method_decorator([csrf_exempt, never_cache, sensitive_post_parameters()], name="dispatch")
class TokenEndpoint(ABC, OAuthLibMixin, View):
    """Base of the token and revocation endpoints: POST with client id and secret, as form, JSON or query.

    Responses are form-encoded, with scopes separated by commas, as Flowdock's were. If `Accept` includes
    application/json they are JSON, with scopes separated by spaces, because OAuth libraries would take other lists for
    changed scopes. Errors are those of RFC 6749, section 5.2, in the same two formats.
    """

    oauthlib_backend_class = TokenCore

    @abstractmethod
    def response_to(self, request: HttpRequest) -> Answer:
        """URL, headers, body and status, as returned by oauthlib."""

    def post(self, request: HttpRequest) -> HttpResponse:
        if wait := rate_limits.Counted("", rate_limits.client_address(request)).seconds_to_wait():
            return _too_many_requests(request, f"Too many requests. Try again in {wait} seconds.", wait)
        try:
            _, headers, body, status = self.response_to(request)
        except params.TooLarge:
            return _answer(request, _invalid_request("The request body is too large"), 413)
        except params.Unsupported as error:
            return _answer(request, _invalid_request(str(error)), 415)
        except params.Unreadable as error:
            return _answer(request, _invalid_request(str(error)), 400)
        except OAuth2Error as error:
            return _answer(request, dict(error.twotuples), error.status_code)
        except TooManyAttempts as error:
            return _too_many_requests(request, str(error), error.retry_after)
        response = _answer(request, json.loads(body), status) if body else HttpResponse(status=status)
        if "WWW-Authenticate" in headers:
            response["WWW-Authenticate"] = headers["WWW-Authenticate"]
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = _answer(request, _invalid_request("This address only accepts POST requests"), 405)
        response["Allow"] = "POST, OPTIONS"
        return response


class TokenView(TokenEndpoint):
    """Exchange a code, a password or a refresh token for an access token."""

    def response_to(self, request: HttpRequest) -> Answer:
        answer: Answer = self.create_token_response(request)
        return answer


class RevokeView(TokenEndpoint):
    """Revoke a token of the calling application (RFC 7009). 200 also if there is no such token."""

    def response_to(self, request: HttpRequest) -> Answer:
        answer: Answer = self.create_revocation_response(request)
        return answer


def _answer(request: HttpRequest, answer: dict[str, Any], status: int) -> HttpResponse:
    if "application/json" in request.headers.get("Accept", ""):
        return HttpResponse(json.dumps(answer), status=status, content_type="application/json; charset=utf-8")
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    if "scope" in answer:
        answer["scope"] = ",".join(answer["scope"].split())
    return HttpResponse(urlencode(answer), status=status, content_type=kind)


def _too_many_requests(request: HttpRequest, description: str, retry_after: int) -> HttpResponse:
    response = _answer(request, {"error": "temporarily_unavailable", "error_description": description}, 429)
    response["Retry-After"] = str(retry_after)
    return response


def _invalid_request(description: str) -> dict[str, Any]:
    return {"error": "invalid_request", "error_description": description}
