"""Assign each category to the organization of the flows that follow it, if there is only one.

The others are visible only to staff, who can assign them in the admin. The bridge's origins of polls are assigned in the
same way. An origin that flows of several organizations share is split, so that each gets only its own polls.
"""

from django.db import migrations, models


ALL_POLLS = "All polls"


def bind(apps, schema_editor):
    following = apps.get_model("integrations", "Integration").objects.filter(origin__service="polls")
    connected = following.filter(removed_at=None).exclude(flow_token="")
    for category in apps.get_model("polls", "Category").objects.filter(organization=""):
        followers = connected.filter(origin__name__in=[category.name, ALL_POLLS])
        organizations = set(followers.values_list("organization", flat=True))
        # A follower without an organization may belong to any.
        if len(organizations) == 1 and "" not in organizations:
            category.organization = organizations.pop()
            category.save(update_fields=["organization"])
    for origin in apps.get_model("integrations", "Origin").objects.filter(service="polls", organization=""):
        bind_origin(origin, following.filter(origin=origin))


def bind_origin(origin, following):
    """Keep the origin for the first organization, or for flows without one, and create copies for the others."""
    first, *others = sorted(set(following.values_list("organization", flat=True))) or [""]
    for organization in others:
        own = type(origin).objects.create(
            service=origin.service,
            name=origin.name,
            external_url=origin.external_url,
            created_by_id=origin.created_by_id,
            organization=organization,
        )
        following.filter(organization=organization).update(origin=own)
    origin.organization = first
    origin.save(update_fields=["organization"])


class Migration(migrations.Migration):

    dependencies = [
        ('polls', '0001_initial'),
        ('integrations', '0004_organizations'),
    ]

    operations = [
        migrations.AddField(
            model_name='category',
            name='organization',
            field=models.CharField(default='', help_text="The organization's name in Flowdock's addresses, such as acme", max_length=100),
        ),
        migrations.AlterField(
            model_name='category',
            name='key',
            field=models.CharField(editable=False, max_length=180),
        ),
        migrations.AlterField(
            model_name='category',
            name='slug',
            field=models.SlugField(editable=False, max_length=76),
        ),
        migrations.AddConstraint(
            model_name='category',
            constraint=models.UniqueConstraint(fields=('organization', 'key'), name='polls_category_unique_in_organization'),
        ),
        migrations.AddConstraint(
            model_name='category',
            constraint=models.UniqueConstraint(fields=('organization', 'slug'), name='polls_category_address_unique'),
        ),
        migrations.RunPython(bind, migrations.RunPython.noop),
    ]
