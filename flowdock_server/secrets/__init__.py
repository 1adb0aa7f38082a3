"""Secrets: tokens and their digests, encryption, and a hasher for generated secrets."""
