"""Encrypts secrets that the server has to read again, with a key that is derived from SECRET_KEY."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class CannotDecrypt(Exception):
    """Neither SECRET_KEY nor a fallback can decrypt it: the key was changed, or the database is from another server."""


def encrypt(text: str) -> str:
    """Encrypt `text` with the current SECRET_KEY."""
    return _keys(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).encrypt(text.encode()).decode()


def decrypt(encrypted: str) -> str:
    """Decrypt the result of `encrypt` with SECRET_KEY or one of SECRET_KEY_FALLBACKS. Raises CannotDecrypt."""
    try:
        return _keys(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).decrypt(encrypted).decode()
    except InvalidToken as error:
        raise CannotDecrypt from error


def reencrypt(encrypted: str) -> str:
    """Encrypt with the current SECRET_KEY. Returns `encrypted` itself if it uses it already. Raises CannotDecrypt."""
    try:
        Fernet(_derived(settings.SECRET_KEY)).decrypt(encrypted)
    except InvalidToken:
        return encrypt(decrypt(encrypted))
    return encrypted


@lru_cache(maxsize=4)
def _keys(present: str, former: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(key)) for key in (present, *former)])


def _derived(key: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"flowdock_server sealed secrets")
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
