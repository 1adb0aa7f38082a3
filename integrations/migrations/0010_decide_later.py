"""Events are accepted first, and decided by a worker; their bodies are compressed.

Rows that are there, and those that the version before adds while it still runs, have been decided.
"""

import integrations.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0009_request_ids'),
    ]

    operations = [
        migrations.AddField(
            model_name='event',
            name='awaits_decision',
            field=models.BooleanField(db_default=False, default=False, editable=False, help_text='Accepted. A worker will decide for each integration whether it is posted'),
        ),
        migrations.AddField(
            model_name='event',
            name='body_size',
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False, help_text='Bytes, as received'),
        ),
        migrations.AddField(
            model_name='event',
            name='only_for',
            field=models.BigIntegerField(default=None, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='event',
            name='body',
            field=integrations.fields.CompressedBinaryField(blank=True, default=b''),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('awaits_decision', True)), fields=['origin', 'id'], name='event_awaiting_decision'),
        ),
    ]
