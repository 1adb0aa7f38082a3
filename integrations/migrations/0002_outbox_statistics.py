"""Have PostgreSQL look at the deliveries often enough to know how long the outbox is.

Most of the time nothing waits, and with PostgreSQL's defaults a table of a million rows is analysed after a hundred
thousand changes: until then a backlog of tens of thousands would be planned as if it were one row, and each claim would
walk through the whole of the outbox's indexes. The same holds for what the delivered leave behind in them.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

OPTIONS = {
    "autovacuum_analyze_scale_factor": 0,
    "autovacuum_analyze_threshold": 2000,
    "autovacuum_vacuum_scale_factor": 0.01,
}


def set_options(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        options = ", ".join(f"{name} = {value}" for name, value in OPTIONS.items())
        schema_editor.execute(f"ALTER TABLE integrations_delivery SET ({options})")


def reset_options(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE integrations_delivery RESET ({', '.join(OPTIONS)})")


class Migration(migrations.Migration):
    dependencies = [("integrations", "0001_initial")]

    operations = [migrations.RunPython(set_options, reset_options)]
