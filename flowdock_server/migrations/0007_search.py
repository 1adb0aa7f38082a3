import django.db.models.deletion
from django.db import migrations, models

import flowdock_server.models.search

TABLE = "flowdock_server_search"


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"CREATE TABLE {TABLE} (rowid bigint PRIMARY KEY, words tsvector NOT NULL)")
        schema_editor.execute(f"CREATE INDEX {TABLE}_words ON {TABLE} USING gin (words)")
        # With the usual 100 the planner takes rare words for common ones, and reads all rows from the newest on.
        schema_editor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN words SET STATISTICS 1000")
    else:
        schema_editor.execute(f"CREATE VIRTUAL TABLE {TABLE} USING fts5(words, tokenize = 'unicode61')")


def drop(apps, schema_editor):
    schema_editor.execute(f"DROP TABLE {TABLE}")


class Migration(migrations.Migration):
    dependencies = [("flowdock_server", "0006_sign_in_failures")]

    operations = [
        migrations.CreateModel(
            name="Indexed",
            fields=[
                (
                    "message",
                    models.OneToOneField(
                        db_column="rowid",
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="indexed",
                        serialize=False,
                        to="flowdock_server.message",
                    ),
                ),
                ("words", flowdock_server.models.search.WordsField()),
            ],
            options={"db_table": TABLE, "managed": False},
        ),
        migrations.RunPython(make, drop),
    ]
