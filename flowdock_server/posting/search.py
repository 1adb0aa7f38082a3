"""Full-text search: a message matches if each word of the search is the beginning of one of its words.

Texts are split into words here and not by the databases, whose parsers differ: words are letters and digits, without
case and accents. Scripts without spaces between words (Chinese, Japanese, Thai, Khmer and others) are split into pairs
of characters, so that a word is found at any place: 重要消息 becomes 重要, 要消, 消息 and 息. An emoji is a word.
The index is an FTS5 table on SQLite, and a `tsvector` with a GIN index on PostgreSQL. Each row also has a word for the
flow, so that a search does not read messages of other flows. Code that stores messages without
`flowdock_server.posting.messages` has to `add` them to the index.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import unescape
from uuid import UUID

from django.db import connection
from django.db.models import F

from flowdock_server.models import Indexed, Message
from flowdock_server.models.messages import MessageQuerySet

MAX_WORDS = 2000  # of a message; later words of a long body are not indexed
MAX_SEARCHED = 16  # of a search
MAX_LENGTH = 64  # of a word; longer ones are cut, in messages and in searches

# A search on PostgreSQL is for common words if it finds more than _COMMON of the newest _SAMPLE rows.
_SAMPLE, _COMMON = 3000, 30

_TABLE = Indexed._meta.db_table
# Han, Kana, Bopomofo, Thai, Lao, Burmese, Khmer. The migration that indexed all messages again has a copy.
_UNSPACED = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31ff"
_UNSPACED += "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_WORD = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<emoji>[{_EMOJI}])|[^\W_{_UNSPACED}]+")
_HTML_TAG = re.compile(r"<[^<>]*>")


def words(text: str) -> list[str]:
    plain = text.casefold()
    if not plain.isascii():
        plain = "".join(sign for sign in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(sign))
    return [word for found in _WORD.finditer(plain) for word in _words_of(found)]


def _words_of(found: re.Match[str]) -> list[str]:
    text = found.group()
    if found["emoji"]:
        # FTS5 takes letters and digits only.
        return [f"emoji{ord(text):x}"]
    if found["unspaced"]:
        return [text[place : place + 2] for place in range(len(text))]
    return [text[:MAX_LENGTH]]


def _searched(text: str) -> list[str]:
    """The words that a message must have; for scripts without spaces pairs, unless it is a single character."""
    wanted: dict[str, None] = {}
    for found in words(text):
        wanted[found] = None
    pairs = {pair[1] for pair in wanted if len(pair) == 2 and _is_unspaced(pair)}
    return [word for word in wanted if not (len(word) == 1 and _is_unspaced(word) and word in pairs)]


def _is_unspaced(word: str) -> bool:
    return re.fullmatch(f"[{_UNSPACED}]+", word) is not None


def add(messages: Iterable[Message]) -> None:
    """Add messages to the index, or update them. It reads `attachments` of messages that have the tag ":file"."""
    rows = [(message.pk, _indexed(message)) for message in messages]
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.executemany(
                f"INSERT INTO {_TABLE} (rowid, words) VALUES (%s, array_to_tsvector(%s))"  # noqa: S608  (a constant)
                " ON CONFLICT (rowid) DO UPDATE SET words = excluded.words",
                rows,
            )
        else:
            cursor.executemany(
                f"INSERT OR REPLACE INTO {_TABLE} (rowid, words) VALUES (%s, %s)",  # noqa: S608
                [(key, " ".join(found)) for key, found in rows],
            )


def matching(found: MessageQuerySet, flow_id: UUID, search: str) -> MessageQuerySet:
    """The messages among `found`, of one flow, that have all words of `search`; empty if it has no word.

    Order them by "indexed", which is the order of their numbers: the index is then read only as far as needed.
    """
    condition = _condition(flow_id, search)
    return found.none() if condition is None else found.filter(indexed__words__match=condition)


def keys_of_few(flow_id: UUID, search: str, at_most: int, *, alone: bool) -> list[int] | None:
    """The keys of all messages of the flow that have the words; None if there are more than `at_most`.

    Also None on SQLite if the words are the only condition (`alone`): FTS5 reads its matches in the order of rows, for
    rare and common words alike, and stops when it has enough.
    """
    condition = _condition(flow_id, search)
    if condition is None:
        return []
    if alone and connection.vendor != "postgresql":
        return None
    rows = Indexed.objects.filter(words__match=condition)
    if connection.vendor == "postgresql":
        # Common words are soon recognized in the newest rows. For others the expression in ORDER BY, which no index
        # has, keeps the planner from reading all rows in order in the hope of stopping early.
        newest = Indexed.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        sample = rows.filter(pk__gt=newest - _SAMPLE).order_by().values_list("pk", flat=True)
        if len(sample) > _COMMON:
            return None
        rows = rows.order_by(F("pk") + 0)
    keys = list(rows.values_list("pk", flat=True)[: at_most + 1])
    return keys if len(keys) <= at_most else None


def _condition(flow_id: UUID, search: str) -> str | None:
    searched = _searched(search)[:MAX_SEARCHED]
    return _query(_flow_word(flow_id), searched) if searched else None


def _query(flow_word: str, searched: list[str]) -> str:
    """A query in the syntax of the database. Words are letters and digits only, so quoting them is enough."""
    if connection.vendor == "postgresql":
        quote, prefix, both = "'", ":*", " & "
    else:
        quote, prefix, both = '"', "*", " AND "
    # A single letter is matched as a whole word, since a tenth of all words may begin with it. A single character of a
    # script without spaces is the beginning of a pair.
    terms = [f"{quote}{word}{quote}{prefix if len(word) > 1 or _is_unspaced(word) else ''}" for word in searched]
    return both.join([f"{quote}{flow_word}{quote}", *terms])


def _flow_word(flow_id: UUID) -> str:
    return f"flow{flow_id.hex}"


def _indexed(message: Message) -> list[str]:
    texts = [message.content, _plain(message.title), _plain(message.body)]
    if ":file" in message.tags:
        texts += [attachment.file_name for attachment in message.attachments.all()]
    return [_flow_word(message.flow_id), *list(dict.fromkeys(words(" ".join(texts))))[:MAX_WORDS]]


def _plain(html: str) -> str:
    return unescape(_HTML_TAG.sub(" ", html)) if "<" in html or "&" in html else html
