"""Tokens that this server issues. They are shown once and stored as digests."""

import hashlib
import secrets


def new_token() -> str:
    """32 hexadecimal digits, like Flowdock's flow tokens and API tokens."""
    return secrets.token_hex(16)


def digest(token: str) -> str:
    """The digest to store. A token has 128 random bits, so its SHA-256 cannot be reversed by guessing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


THREAD_ID_LENGTH = 27


def new_thread_id() -> str:
    """27 characters that need no escaping in URLs, like Flowdock's thread ids."""
    return secrets.token_urlsafe(20)


def new_file_key() -> str:
    """32 characters that identify a file in the storage and in URLs."""
    return secrets.token_urlsafe(24)
