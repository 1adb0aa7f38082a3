"""Finds out which of FIELD_KEYS the stored secrets are encrypted with, and encrypts them again with the first."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import Value
from django.db.models.functions import Cast

from .fields import EncryptedTextField
from .transactions import write_transaction

BATCH = 200  # rows


class Key(enum.Enum):
    """The key that decrypts a secret."""

    FIRST = "first"
    OLDER = "older"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Secret:
    """A stored secret, encrypted as in the database."""

    model: type[models.Model]
    pk: int
    name: str
    token: str

    def __str__(self) -> str:
        return f"{self.model._meta.verbose_name} {self.pk}, {self.name}"

    def key(self) -> Key:
        keys = [Fernet(key) for key in settings.FIELD_KEYS]
        for candidate, fernet in ((Key.FIRST, keys[0]), (Key.OLDER, MultiFernet(keys))):
            try:
                fernet.decrypt(self.token)
            except InvalidToken:
                continue
            return candidate
        return Key.NONE

    def reencrypt(self) -> bool:
        """Encrypt it with the first key. Returns False if it was changed meanwhile; then it keeps its new value."""
        token = MultiFernet([Fernet(key) for key in settings.FIELD_KEYS]).rotate(self.token).decode()
        stored = _as_stored(self.model, self.name).filter(pk=self.pk, token=self.token)
        return bool(stored.update(**{self.name: Value(token, models.TextField())}))


@dataclass(slots=True)
class Tally:
    """How many secrets each key decrypts, and the ones that none of them does."""

    count: Counter[Key] = field(default_factory=Counter)
    lost: list[Secret] = field(default_factory=list)

    def add(self, secret: Secret) -> Key:
        key = secret.key()
        self.count[key] += 1
        if key is Key.NONE:
            self.lost.append(secret)
        return key


def columns() -> list[tuple[type[models.Model], str]]:
    """Each model and field that stores secrets."""
    return [
        (model, each.name)
        for model in apps.get_models()
        for each in model._meta.concrete_fields
        if isinstance(each, EncryptedTextField)
    ]


def count_secrets() -> int:
    return sum(_as_stored(model, name).count() for model, name in columns())


def count_keys() -> Tally:
    """Count which key decrypts each stored secret."""
    tally = Tally()
    for batch in _batches():
        for secret in batch:
            tally.add(secret)
    return tally


def reencrypt(tally: Tally) -> Iterator[int]:
    """Encrypt secrets of older keys with the first key, in batches; yields how many secrets each batch had.

    The caller may stop after any batch and start again later. Other processes are not disturbed, as long as they have
    the first key.
    """
    for batch in _batches():
        old = [secret for secret in batch if tally.add(secret) is Key.OLDER]
        if old:
            with write_transaction():
                for secret in old:
                    secret.reencrypt()
        yield len(batch)


def _batches() -> Iterator[list[Secret]]:
    for model, name in columns():
        last = 0
        while rows := list(
            _as_stored(model, name).filter(pk__gt=last).order_by("pk").values_list("pk", "token")[:BATCH]
        ):
            yield [Secret(model, pk, name, token) for pk, token in rows]
            last = rows[-1][0]


def _as_stored(model: type[models.Model], name: str) -> models.QuerySet[models.Model]:
    """The rows that have a secret, each with the encrypted secret as `token`."""
    # The Cast keeps the field from decrypting it.
    return model._default_manager.annotate(token=Cast(name, models.TextField())).exclude(token="")
