"""A password hasher for generated secrets."""

from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher
from django.utils.crypto import constant_time_compare

from flowdock_server.secrets.tokens import digest

# Characters. A generated secret of this length cannot be guessed, and passwords are not as long.
GENERATED_LENGTH = 40


class GeneratedSecretHasher(BasePasswordHasher):
    """SHA-256, for generated client secrets, which do not need the protection of a slow hash.

    Client ids are public, so with a slow hash anybody could keep the server busy with wrong secrets.
    """

    algorithm = "generated_sha256"

    def salt(self) -> str:
        return ""

    def encode(self, password: str, salt: str) -> str:
        return f"{self.algorithm}${digest(password)}"

    def decode(self, encoded: str) -> dict[str, Any]:
        algorithm, _, hexadecimal = encoded.partition("$")
        return {"algorithm": algorithm, "hash": hexadecimal, "salt": ""}

    def verify(self, password: str, encoded: str) -> bool:
        return constant_time_compare(encoded, self.encode(password, ""))

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        return {"algorithm": self.algorithm}

    def must_update(self, encoded: str) -> bool:
        return False

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing to do: the time that it takes does not depend on the secret."""
