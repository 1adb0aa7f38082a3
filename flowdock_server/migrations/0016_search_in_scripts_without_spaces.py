import re
import unicodedata
from html import unescape

from django.db import migrations

# As flowdock_server.posting.search made words when this was written. It is a copy, so that a later change there does not change
# what this migration does: such a change brings a migration of its own.
UNSPACED = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # noqa: E501
EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
WORD = re.compile(rf"(?P<unspaced>[{UNSPACED}]+)|(?P<emoji>[{EMOJI}])|[^\W_{UNSPACED}]+")
HTML_TAG = re.compile(r"<[^<>]*>")
TABLE = "flowdock_server_search"


def words(text):
    plain = text.casefold()
    if not plain.isascii():
        plain = "".join(sign for sign in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(sign))
    for found in WORD.finditer(plain):
        word = found.group()
        if found["emoji"]:
            yield f"emoji{ord(word):x}"
        elif found["unspaced"]:
            yield from (word[place : place + 2] for place in range(len(word)))
        else:
            yield word[:64]


def plain(html):
    return unescape(HTML_TAG.sub(" ", html)) if "<" in html or "&" in html else html


def index(apps, schema_editor):
    """Index every message again, 1000 at a time."""
    message = apps.get_model("flowdock_server", "Message")
    attachment = apps.get_model("flowdock_server", "Attachment")
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    insert = (
        f"INSERT INTO {TABLE} (rowid, words) VALUES (%s, array_to_tsvector(%s))"
        " ON CONFLICT (rowid) DO UPDATE SET words = excluded.words"
        if is_postgresql
        else f"INSERT OR REPLACE INTO {TABLE} (rowid, words) VALUES (%s, %s)"
    )
    last = 0
    found = message.objects.exclude(event__in=["action", "tag-change", "message-edit"]).order_by("pk")
    while batch := list(found.filter(pk__gt=last).only("pk", "flow_id", "content", "title", "body")[:1000]):
        names = {}
        files = attachment.objects.filter(message__gte=batch[0].pk, message__lte=batch[-1].pk).order_by("pk")
        for key, name in files.values_list("message", "file_name"):
            names.setdefault(key, []).append(name)
        rows = []
        for each in batch:
            text = " ".join([each.content, plain(each.title), plain(each.body), *names.get(each.pk, [])])
            made = [f"flow{each.flow_id.hex}", *list(dict.fromkeys(words(text)))[:2000]]
            rows.append((each.pk, made if is_postgresql else " ".join(made)))
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany(insert, rows)
        last = batch[-1].pk


class Migration(migrations.Migration):
    dependencies = [("flowdock_server", "0015_generated_secrets")]

    operations = [migrations.RunPython(index, migrations.RunPython.noop)]
