"""The syntax of mentions and hashtags, for both notifying people and highlighting on pages.

The rules are those of Flowdock's tags.md and of the conformance tests of its flowdock-text.
"""

from collections.abc import Container

EVERYONE = frozenset({"everyone", "everybody", "all", "anyone", "anybody"})

# Regular expressions with one group each, `nick` or `tag`. A word character, an address or another @ or # before it
# means that it is neither. A hashtag may have hyphens inside, a nick also dots. The quantifiers are possessive, so that
# `#http://x` and `#a#b` are not shortened to something that would match.
MENTION = r"(?<![\w&/@＠.])[@＠](?P<nick>(?:\w|[.-](?=\w))++)(?!://|[@＠])"
HASHTAG = r"(?<![\w&/#＃])[#＃](?P<tag>\w[\w-]*+)(?!://|[#＃])"


def tag_name(tag: str) -> str:
    """The name of a hashtag that `HASHTAG` found: a hyphen at its end belongs to the sentence."""
    return tag.rstrip("-")


def means_everyone(nick: str, nicks: Container[str]) -> bool:
    """Whether @`nick` mentions everyone: unless somebody has this nick. All are in lower case."""
    return nick in EVERYONE and nick not in nicks
