"""Opens the sources of key-encryption keys that the settings name (`KEYRACK_KEY_SOURCES`)."""

import re
from collections.abc import Sequence

from keyrack.crypto.kek import KeyEncryptionKey, local
from keyrack.crypto.kek.chain import KeyChain
from keyrack.crypto.kek.service_keys import KeyService, ServiceKeys
from keyrack.errors import ConfigurationError
from keyrack.settings import Settings

ENVIRONMENT, FILE = "env", "file"
_EXTRAS = {"aws-kms": "aws", "google-kms": "google", "vault": "vault", "openbao": "vault"}


def named_sources(settings: Settings) -> Sequence[str]:
    """Return the names of the sources in force, the one that wraps first."""
    named = tuple(filter(None, re.split(r"[\s,]+", settings.key_sources)))
    return named or (ENVIRONMENT if settings.key is not None else FILE,)


def open_keys(settings: Settings) -> KeyChain:
    """Open the key sources of the settings. Calls no service yet.

    Raises:
        ConfigurationError: one cannot be used, or is unknown; `WrongKey` if there is no key.
    """
    return KeyChain([_opened(name, settings) for name in named_sources(settings)])


def _opened(name: str, settings: Settings) -> KeyEncryptionKey:
    if name == ENVIRONMENT:
        return local.environment_keys(settings)
    if name == FILE:
        return local.FileKeys(settings.effective_key_file)
    kind, _, key = name.partition(":")
    if kind not in _EXTRAS:
        raise ConfigurationError(
            f"KEYRACK_KEY_SOURCES names no such source: {kind}; there are env, file, {', '.join(_EXTRAS)}"
        )
    try:
        return ServiceKeys(_service(kind, key, settings), settings.key_service_timeout)
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"{kind} needs the package {missing.name}; run: pip install 'keyrack[{_EXTRAS[kind]}]'"
        ) from None


def _service(kind: str, key: str, settings: Settings) -> KeyService:
    """Make the client of a service; each is loaded only where one of its keys is set."""
    timeout = settings.key_service_timeout
    if kind == "aws-kms":
        from keyrack.crypto.kek.aws_kms import AwsKmsKey  # noqa: PLC0415 - see above

        return AwsKmsKey(key, timeout)
    if kind == "google-kms":
        from keyrack.crypto.kek.google_kms import GoogleKmsKey  # noqa: PLC0415 - see above

        return GoogleKmsKey(key, timeout, settings.google_kms_endpoint)
    from keyrack.crypto.kek.transit import TransitKey  # noqa: PLC0415 - see above

    return TransitKey(kind, key, timeout)
