"""A key of Google Cloud KMS, through Google's own client over REST: credentials are the application default ones.

The context is the additional authenticated data of each call.
"""

import re

from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.kms_v1 import KeyManagementServiceClient

from keyrack.errors import ConfigurationError, KeyServiceUnavailable, WrongKey

_NAME = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+")
_LONGEST = 230
"""The id of a version is kept in 255 characters."""


class GoogleKmsKey:
    """A symmetric key of Cloud KMS. Its primary version encrypts, each enabled one decrypts.

    Args:
        key: `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
        timeout: seconds a call may take.
        endpoint: where the service is, if not at its public address.

    Raises:
        ConfigurationError: it is no name of a key, or there are no credentials.
    """

    kind = "google-kms"

    def __init__(self, key: str, timeout: float, endpoint: str | None = None) -> None:
        if _NAME.fullmatch(key) is None or len(key) > _LONGEST:
            raise ConfigurationError(
                "google-kms: must name a key: projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
            )
        self._key, self._timeout, self._endpoint = key, timeout, endpoint
        self.name = f"{self.kind}:{key}"
        self._client: KeyManagementServiceClient | None = None

    def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key with the primary version (`cryptoKeys.encrypt`).

        Raises:
            KeyServiceUnavailable: Google does not answer, or refuses.
        """
        request = {"name": self._key, "plaintext": material, "additional_authenticated_data": context}
        try:
            done = self._connected().encrypt(request=request, timeout=self._timeout, retry=None)
        except (exceptions.GoogleAPIError, GoogleAuthError, OSError) as error:
            raise self._unavailable("encrypt", error) from None
        if not done.name.startswith(f"{self._key}/"):
            raise KeyServiceUnavailable(cause=f"{self.name}: Google encrypted with another key")
        return f"{self.kind}:{done.name}", bytes(done.ciphertext)

    def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key (`cryptoKeys.decrypt`).

        Raises:
            WrongKey: it was not encrypted with this key and context.
            KeyServiceUnavailable: Google does not answer, or refuses.
        """
        request = {"name": self._key, "ciphertext": wrapped, "additional_authenticated_data": context}
        try:
            done = self._connected().decrypt(request=request, timeout=self._timeout, retry=None)
        except exceptions.BadRequest as error:
            if (
                _word(error) == "INVALID_ARGUMENT"
            ):  # else the version is disabled or destroyed, and can perhaps come back
                raise WrongKey(f"{kek_id} did not encrypt this data key") from None
            raise self._unavailable("decrypt", error) from None
        except (exceptions.GoogleAPIError, GoogleAuthError, OSError) as error:
            raise self._unavailable("decrypt", error) from None
        return bytes(done.plaintext)

    def _connected(self) -> KeyManagementServiceClient:
        """Return the client; looking for credentials may take calls of its own, so it is made by the first call."""
        if self._client is None:
            options = ClientOptions(api_endpoint=self._endpoint) if self._endpoint else None
            self._client = KeyManagementServiceClient(transport="rest", client_options=options)
        return self._client

    def _unavailable(self, operation: str, error: Exception) -> KeyServiceUnavailable:
        status = getattr(error, "code", None)
        said = f"{type(error).__name__} {int(status)}" if status else type(error).__name__
        return KeyServiceUnavailable(cause=f"{self.name}: cannot {operation} ({said})")


def _word(error: exceptions.GoogleAPICallError) -> str:
    """Return the canonical code that came with an HTTP status, which stands for several (AIP-193)."""
    try:
        return str(error.response.json()["error"]["status"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
