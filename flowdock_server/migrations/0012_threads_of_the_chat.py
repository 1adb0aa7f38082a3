from django.db import migrations, models


def gather(apps, schema_editor):
    from flowdock_server.posting.chat_threads import (gather_comments)

    gather_comments(apps.get_model("flowdock_server", "Message"), apps.get_model("flowdock_server", "Thread"))


class Migration(migrations.Migration):
    dependencies = [("flowdock_server", "0011_ended_sessions")]

    operations = [
        # Before the rows change: PostgreSQL makes no index while constraints wait to be checked.
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("thread", None)),
                fields=["flow", "-created_at", "-number"],
                name="messages_unanswered",
            ),
        ),
        migrations.RunPython(gather, migrations.RunPython.noop),
    ]
