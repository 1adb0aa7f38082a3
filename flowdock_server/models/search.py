from __future__ import annotations

from typing import Any

from django.db import connections, models
from django.dispatch import receiver

from .messages import Message


class WordsField(models.TextField):  # type: ignore[type-arg]  # it has none when it runs
    """The words of a message in the database's full-text index. Its only lookup is `match`."""

    def db_type(self, connection: Any) -> str:
        return "tsvector" if connection.vendor == "postgresql" else "text"


@WordsField.register_lookup
class Match(models.Lookup):
    """Whether the words match a query in the database's own syntax, which `flowdock_server.posting.search` writes."""

    lookup_name = "match"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, column_params = self.process_lhs(compiler, connection)
        query, query_params = self.process_rhs(compiler, connection)
        operator, cast = ("@@", "::tsquery") if connection.vendor == "postgresql" else ("MATCH", "")
        return f"{column} {operator} {query}{cast}", [*column_params, *query_params]


class Indexed(models.Model):
    """A message in the full-text index, which `flowdock_server.posting.search` writes. A migration creates its table.

    On SQLite it is an FTS5 table, which has no foreign keys, so there are none in any database. A signal deletes the
    rows of deleted messages, also of messages that are deleted with their flow.
    """

    message = models.OneToOneField(
        Message, models.DO_NOTHING, primary_key=True, db_column="rowid", db_constraint=False, related_name="indexed"
    )
    words = WordsField()

    class Meta:
        managed = False
        db_table = "flowdock_server_search"

    def __str__(self) -> str:
        return f"the words of message {self.pk}"


@receiver(models.signals.post_delete, sender=Message)
def _forget_words(instance: Message, using: str, **kwargs: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(f"DELETE FROM {Indexed._meta.db_table} WHERE rowid = %s", [instance.pk])  # noqa: S608
