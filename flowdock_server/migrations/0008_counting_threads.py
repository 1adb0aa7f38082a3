from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flowdock_server", "0007_search")]

    operations = [
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(
                fields=[
                    *("flow", "empty", "source", "status_value", "status_color"),
                    *("activities", "external_comments", "last_number", "updated_at", "id"),
                ],
                name="threads_counted",
            ),
        ),
    ]
