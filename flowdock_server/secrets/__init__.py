"""Secrets: issuing tokens and digesting them, encrypting what must be read again, hashing what nobody chose."""
