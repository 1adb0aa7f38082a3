"""Secrets that this server issues: shown once, kept as a digest."""

import hashlib
import secrets


def new_token() -> str:
    """32 hexadecimal digits, as Flowdock's flow tokens and API tokens are."""
    return secrets.token_hex(16)


def digest(token: str) -> str:
    """What the database keeps. A token has 128 random bits, so a plain SHA-256 cannot be reversed by guessing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


THREAD_ID_LENGTH = 27


def new_thread_id() -> str:
    """27 characters that need no escaping in an address, as Flowdock's thread ids are."""
    return secrets.token_urlsafe(20)


def new_file_key() -> str:
    """32 characters that name a file in the storage and in its address."""
    return secrets.token_urlsafe(24)
