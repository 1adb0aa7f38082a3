from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0008_sign_ins_remember_organizations'),
    ]

    operations = [
        migrations.RemoveConstraint(model_name='event', name='event_unique_delivery_id'),
        migrations.RenameField(model_name='event', old_name='delivery_id', new_name='request_id'),
        migrations.AlterField(
            model_name='event',
            name='request_id',
            field=models.CharField(help_text="The sender's id of the webhook request, or an app's idempotency key", max_length=200),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.UniqueConstraint(fields=('origin', 'request_id'), name='event_unique_request_id'),
        ),
    ]
