"""A key of AWS KMS, through boto3: credentials, region and proxies by that client's standard means.

The context is the encryption context of each call, member `keyrack` in base64; AWS writes it into CloudTrail.
"""

import base64
import re
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keyrack.errors import ConfigurationError, KeyServiceUnavailable, WrongKey

_ARN = re.compile(r"arn:[a-z0-9-]+:kms:(?P<region>[a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]{1,64}")
_WRONG = ("InvalidCiphertextException", "IncorrectKeyException")


class AwsKmsKey:
    """A symmetric key of AWS KMS, named by its ARN, so that neither an alias nor a policy can exchange it.

    Args:
        arn: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
        timeout: seconds that connecting, and waiting for an answer, may each take.

    Raises:
        ConfigurationError: it is no ARN of a key.
    """

    kind = "aws-kms"

    def __init__(self, arn: str, timeout: float) -> None:
        found = _ARN.fullmatch(arn)
        if found is None:
            raise ConfigurationError("aws-kms: must name a key by its ARN: arn:aws:kms:REGION:ACCOUNT:key/ID")
        self._arn = arn
        self.name = f"{self.kind}:{arn}"
        config = Config(
            region_name=found["region"],
            connect_timeout=timeout / 2,
            read_timeout=timeout / 2,
            retries={"total_max_attempts": 2},
        )
        try:
            self._client = Session().client("kms", config=config)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(f"{self.name}: the AWS client cannot be set up ({_short(error)})") from None

    def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key (Encrypt).

        Raises:
            KeyServiceUnavailable: AWS does not answer, or refuses.
        """
        done = self._asked("encrypt", Plaintext=material, EncryptionContext=_context(context))
        return self.name, bytes(done["CiphertextBlob"])

    def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key (Decrypt), with this key only.

        Raises:
            WrongKey: it was not encrypted with this key and context.
            KeyServiceUnavailable: AWS does not answer, or refuses.
        """
        del kek_id  # its versions are AWS's own affair
        done = self._asked("decrypt", CiphertextBlob=wrapped, EncryptionContext=_context(context))
        if done["KeyId"] != self._arn:
            raise WrongKey(f"another key than {self.name} encrypted this data key")
        return bytes(done["Plaintext"])

    def _asked(self, operation: str, **given: Any) -> Any:
        try:
            return getattr(self._client, operation)(KeyId=self._arn, **given)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _WRONG:
                raise WrongKey(f"{self.name} did not encrypt this data key ({code})") from None
            raise KeyServiceUnavailable(cause=f"{self.name}: AWS refuses to {operation} ({code})") from None
        except BotoCoreError as error:
            raise KeyServiceUnavailable(cause=f"{self.name}: {_short(error)}") from None


def _context(context: bytes) -> dict[str, str]:
    return {"keyrack": base64.b64encode(context).decode()}


def _short(error: Exception) -> str:
    """Return what kind of error it is; its text may quote what was sent."""
    return type(error).__name__
