"""Full-text search over messages: every word of a search is the beginning of a word of the message.

The words are made here and not by the databases, whose parsers differ: letters and digits, without case and accents.
Scripts without spaces between words (Chinese, Japanese, Thai, Khmer and others) are cut into pairs of characters, so
that a word is found wherever it stands: 重要消息 is 重要, 要消, 消息 and 息. An emoji is a word of its own.
Their index is beside the messages: an FTS5 table on SQLite, a `tsvector` with a GIN index on PostgreSQL. Each row has
one more word that names the flow, so that other flows' messages cost nothing. Whoever stores messages without
`flowdock_server.posting.messages` has to `add` them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import unescape
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet

from flowdock_server.models import Indexed, Message

MAX_WORDS = 2000  # of a message: what comes later in a long body is not found
MAX_SEARCHED = 16  # of a search
MAX_LENGTH = 64  # of a word: the longer are cut, in messages and searches alike

# Of the newest rows on PostgreSQL: a search that finds more than so many of so many is for common words.
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
    """The words that a message must have: of a script without spaces, pairs only, unless it is a single character."""
    wanted: dict[str, None] = {}
    for found in words(text):
        wanted[found] = None
    pairs = {pair[1] for pair in wanted if len(pair) == 2 and _is_unspaced(pair)}
    return [word for word in wanted if not (len(word) == 1 and _is_unspaced(word) and word in pairs)]


def _is_unspaced(word: str) -> bool:
    return re.fullmatch(f"[{_UNSPACED}]+", word) is not None


def add(messages: Iterable[Message]) -> None:
    """Let what was just stored be found; `attachments` are looked up for messages that are tagged as having some."""
    rows = [(message.pk, _indexed(message)) for message in messages]
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


def matching(found: QuerySet[Message], flow_id: UUID, search: str) -> QuerySet[Message]:
    """Those of `found`, which are of one flow, that have all the words of `search`; none where it has no word.

    Order by "indexed", which is the order of their numbers: the index is read in it, and no further than needed.
    """
    condition = _condition(flow_id, search)
    return found.none() if condition is None else found.filter(indexed__words__match=condition)


def few(flow_id: UUID, search: str, at_most: int, *, alone: bool) -> list[int] | None:
    """The keys of all messages of the flow that have the words; None where there are more than `at_most`.

    None as well where the words are the only condition (`alone`) and FTS5 answers: it reads what it finds in the order
    of its rows, rare and common words alike, and ends where it has enough.
    """
    condition = _condition(flow_id, search)
    if condition is None:
        return []
    if alone and connection.vendor != "postgresql":
        return None
    rows = Indexed.objects.filter(words__match=condition)
    if connection.vendor == "postgresql":
        # In the newest rows common words are soon found to be common. Of others the planner would read all rows in
        # their order, hoping for an early end, if the order were not one that no index has.
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
    """In the database's language. A word is letters and digits, so quotes are all that it needs."""
    if connection.vendor == "postgresql":
        quote, prefix, both = "'", ":*", " & "
    else:
        quote, prefix, both = '"', "*", " AND "
    # The beginning of a word that is one letter long would be that of a tenth of all words.
    # One of a script without spaces is the beginning of a pair.
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
