"""Integrations know the organization of their flow, and own apps' origins the one that they belong to."""

import re

from django.conf import settings
from django.db import migrations, models


def learn_organizations(apps, schema_editor):
    """From the source's address in Flowdock, https://api.flowdock.com/flows/acme/main/sources/51, or the flow's page."""
    integrations = apps.get_model("integrations", "Integration").objects.filter(organization="")
    for pk, *addresses in integrations.values_list("pk", "source_url", "flow_web_url").iterator():
        found = [match[1] for address in addresses if (match := re.search(r"/(?:flows|app)/([^/]{1,100})/[^/]+", address))]
        if found:
            integrations.filter(pk=pk).update(organization=found[0])


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0003_outbox_thread_by_thread'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='origin',
            name='origin_unique_for_person',
        ),
        migrations.AddField(
            model_name='integration',
            name='organization',
            field=models.CharField(blank=True, default='', help_text="The organization's parameterized_name, such as acme", max_length=100),
        ),
        migrations.AddField(
            model_name='origin',
            name='organization',
            field=models.CharField(blank=True, default='', editable=False, max_length=100),
        ),
        migrations.AddConstraint(
            model_name='origin',
            constraint=models.UniqueConstraint(fields=('service', 'name', 'organization', 'created_by'), name='origin_unique_for_person'),
        ),
        migrations.RunPython(learn_organizations, migrations.RunPython.noop),
    ]
