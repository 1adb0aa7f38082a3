from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flowdock_server", "0005_unread")]

    operations = [
        migrations.CreateModel(
            name="SignInFailures",
            fields=[
                ("key", models.CharField(editable=False, max_length=64, primary_key=True, serialize=False)),
                ("count", models.PositiveIntegerField()),
                ("last_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
