"""Parsing and checking input: request parameters, JSON, HTML, mentions, ids and names in URLs."""
