"""A client as an authorization server registers it."""

from dataclasses import dataclass

DEFAULT_REDIRECT_URI = "http://127.0.0.1:9/callback"


@dataclass(frozen=True)
class RegisteredClient:
    """What both sides know of an OAuth client; the members are named as in RFC 7591, section 2."""

    client_id: str = "client"
    client_secret: str = "a-test-secret-of-some-length"
    redirect_uris: tuple[str, ...] = (DEFAULT_REDIRECT_URI,)
    token_endpoint_auth_method: str = "client_secret_basic"

    def metadata(self) -> dict[str, object]:
        secret = {} if self.token_endpoint_auth_method == "none" else {"client_secret": self.client_secret}
        return {
            "client_id": self.client_id,
            **secret,
            "redirect_uris": list(self.redirect_uris),
            "token_endpoint_auth_method": self.token_endpoint_auth_method,
        }
