"""Categories belong to an organization: to that of the flows that follow them, where it is one only.

The others are shown to nobody until staff assign them in the admin. What flows follow, the bridge's origins, is bound in
the same way; an origin that flows of several organizations share is split, so that each hears of its own polls only.
"""

from django.db import migrations, models


ALL_POLLS = "All polls"


def bind(apps, schema_editor):
    following = apps.get_model("integrations", "Integration").objects.filter(origin__service="polls")
    connected = following.filter(removed_at=None).exclude(flow_token="")
    for category in apps.get_model("polls", "Category").objects.filter(organization=""):
        followers = connected.filter(origin__name__in=[category.name, ALL_POLLS])
        organizations = set(followers.values_list("organization", flat=True))
        # A follower of which the organization is not known may be of any.
        if len(organizations) == 1 and "" not in organizations:
            category.organization = organizations.pop()
            category.save(update_fields=["organization"])
    for origin in apps.get_model("integrations", "Origin").objects.filter(service="polls", organization=""):
        bind_origin(origin, following.filter(origin=origin))


def bind_origin(origin, following):
    """The origin stays with one of the organizations; with those of which it is not known, if there are any."""
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
            field=models.CharField(default='', help_text="Its name in Flowdock's addresses, such as acme", max_length=100),
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
