from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request

GRANTS = ("authorization_code", "password", "refresh_token")


class FlowdockValidator(OAuth2Validator):
    """The toolkit's rules with Flowdock's: a redirect URI is compared whole, the grants are three, and a refresh
    token is given only to those who asked for `offline_access`."""

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        return redirect_uri in request.client.redirect_uris.split()

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        return response_type == "code"

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        return grant_type in GRANTS

    def _save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        # `token` becomes the answer, so what is taken out here is neither stored nor given.
        if "offline_access" not in token["scope"].split():
            token.pop("refresh_token", None)
        super()._save_bearer_token(token, request, *args, **kwargs)
