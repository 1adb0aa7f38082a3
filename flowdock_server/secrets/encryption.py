"""Secrets that the server has to be able to read again, encrypted with a key that is derived from SECRET_KEY."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unsealable(Exception):
    """Neither SECRET_KEY nor a fallback opens it: the key was changed, or the database is another's."""


def seal(text: str) -> str:
    """`text` under the present SECRET_KEY."""
    return _keys(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """What `seal` was given, under SECRET_KEY or one of SECRET_KEY_FALLBACKS. Raises Unsealable."""
    try:
        return _keys(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).decrypt(sealed).decode()
    except InvalidToken as error:
        raise Unsealable from error


def seal_again(sealed: str) -> str:
    """The same secret under the present SECRET_KEY; `sealed` itself where that opens it already. Raises Unsealable."""
    try:
        Fernet(_derived(settings.SECRET_KEY)).decrypt(sealed)
    except InvalidToken:
        return seal(unseal(sealed))
    return sealed


@lru_cache(maxsize=4)
def _keys(present: str, former: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(key)) for key in (present, *former)])


def _derived(key: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"flowdock_server sealed secrets")
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
