from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('polls', '0002_categories_belong_to_organizations'),
    ]

    operations = [
        migrations.RemoveConstraint(model_name='poll', name='polls_poll_made_once'),
        migrations.RemoveConstraint(model_name='comment', name='polls_comment_made_once'),
        migrations.RenameField(model_name='poll', old_name='once', new_name='form_key'),
        migrations.RenameField(model_name='comment', old_name='once', new_name='form_key'),
        migrations.AddConstraint(
            model_name='poll',
            constraint=models.UniqueConstraint(fields=('author', 'form_key'), name='polls_poll_unique_form_key'),
        ),
        migrations.AddConstraint(
            model_name='comment',
            constraint=models.UniqueConstraint(fields=('author', 'poll', 'form_key'), name='polls_comment_unique_form_key'),
        ),
    ]
