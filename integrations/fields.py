"""How columns store what Python sees: secrets as Fernet tokens, and payloads compressed."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import DeferredAttribute


class UndecipherableSecret(Exception):
    """None of FIELD_KEYS decrypts a stored secret: a key was removed too early, or the database is another bridge's."""


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    """Encrypt `text` with the first of FIELD_KEYS. An empty text stays empty, so that "no secret" can be queried."""
    return _fernet(tuple(settings.FIELD_KEYS)).encrypt(text.encode()).decode() if text else ""


def decrypt(token: str) -> str:
    """Decrypt what `encrypt` returned, with any of FIELD_KEYS. Raises UndecipherableSecret."""
    return _decrypt(token, tuple(settings.FIELD_KEYS)) if token else ""


# Each webhook request needs its origin's secret, and decrypting costs as much as storing the request.
@lru_cache(maxsize=4096)
def _decrypt(token: str, keys: tuple[str, ...]) -> str:
    try:
        return _fernet(keys).decrypt(token).decode()
    except InvalidToken as error:
        raise UndecipherableSecret("no key of FIELD_KEYS decrypts a stored secret") from error


class Ciphertext(str):
    """A secret as stored, not decrypted yet."""

    __slots__ = ()


class DecryptedWhenRead(DeferredAttribute):
    """The attribute of an EncryptedTextField. It decrypts when it is read, and only then raises UndecipherableSecret.

    So a row whose secret cannot be decrypted can still be loaded, listed and removed.
    """

    def __get__(self, instance: models.Model | None, owner: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, owner)
        if isinstance(value, Ciphertext) and instance is not None:
            value = instance.__dict__[self.field.attname] = decrypt(value)
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # not generic at run time
    """Text in Python, a Fernet token in the database. It cannot be searched; the empty text is stored as such."""

    descriptor_class = DecryptedWhenRead

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__[self.attname]
        if isinstance(value, Ciphertext):
            try:
                return decrypt(value)
            except UndecipherableSecret:
                return value  # stored unchanged: the missing key may be added again
        return value

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value if value is None or isinstance(value, Ciphertext) else encrypt(value)

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> str | None:
        return value if value is None else Ciphertext(value)


COMPRESSED = b"\0zlib:"
COMPRESSED_FROM = 2000  # bytes; PostgreSQL keeps a row of this size together
FASTEST = 1


class CompressedBinaryField(models.BinaryField):  # type: ignore[type-arg]  # not generic at run time
    """Bytes in Python; in the database, those of COMPRESSED_FROM and more are compressed. They cannot be searched."""

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return super().get_db_prep_value(value if value is None else compress(bytes(value)), connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> bytes | None:
        return value if value is None else decompress(bytes(value))


def compress(data: bytes) -> bytes:
    """What is stored of `data`. What could be taken for compressed is always compressed."""
    if len(data) < COMPRESSED_FROM and not data.startswith(COMPRESSED):
        return data
    return COMPRESSED + zlib.compress(data, FASTEST)


def decompress_beginning(stored: bytes, length: int) -> bytes:
    """The first `length` bytes, or fewer, of what the beginning of a stored value contains."""
    if not stored.startswith(COMPRESSED):
        return stored[:length]
    return zlib.decompressobj().decompress(stored[len(COMPRESSED) :], length)


def decompress(stored: bytes) -> bytes:
    return zlib.decompress(stored[len(COMPRESSED) :]) if stored.startswith(COMPRESSED) else stored
