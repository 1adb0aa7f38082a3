"""The table of the full-text index, in the database's own kind: FTS5 on SQLite, a tsvector with GIN on PostgreSQL."""

import django.db.models.deletion
from django.db import migrations, models

import flowdock_server.models.search

TABLE = "flowdock_server_search"


def create_table(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"CREATE TABLE {TABLE} (rowid bigint PRIMARY KEY, words tsvector NOT NULL)")
        schema_editor.execute(f"CREATE INDEX {TABLE}_words ON {TABLE} USING gin (words)")
        # With the default of 100 the planner takes rare words for common ones, and reads all rows from the newest on.
        schema_editor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN words SET STATISTICS 1000")
    else:
        schema_editor.execute(f"CREATE VIRTUAL TABLE {TABLE} USING fts5(words, tokenize = 'unicode61')")


def drop_table(apps, schema_editor):
    schema_editor.execute(f"DROP TABLE {TABLE}")


class Migration(migrations.Migration):
    # Databases that were made while there were sixteen migrations have all that these two do.
    replaces = [
        ("flowdock_server", "0002_tag"),
        ("flowdock_server", "0003_keys"),
        ("flowdock_server", "0004_more_of_flowdock"),
        ("flowdock_server", "0005_unread"),
        ("flowdock_server", "0006_sign_in_failures"),
        ("flowdock_server", "0007_search"),
        ("flowdock_server", "0008_counting_threads"),
        ("flowdock_server", "0009_email_changes"),
        ("flowdock_server", "0010_join_nonce"),
        ("flowdock_server", "0011_ended_sessions"),
        ("flowdock_server", "0012_threads_of_the_chat"),
        ("flowdock_server", "0013_private_files_tags_and_edits"),
        ("flowdock_server", "0014_used_codes"),
        ("flowdock_server", "0015_generated_secrets"),
        ("flowdock_server", "0016_search_in_scripts_without_spaces"),
    ]
    dependencies = [("flowdock_server", "0001_initial")]

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
        migrations.RunPython(create_table, drop_table),
    ]
