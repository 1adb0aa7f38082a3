from django.contrib.auth.hashers import make_password
from django.db import migrations

from flowdock_server.secrets.hashers import (GENERATED_LENGTH, GeneratedSecretHasher)
from flowdock_server.secrets.encryption import (Unsealable, unseal)


def hash_generated_secrets_by_sha256(apps, schema_editor):
    """As new ones are; those that this SECRET_KEY does not open stay as they are until they are rotated."""
    for application in apps.get_model("flowdock_server", "Application").objects.exclude(sealed_secret=""):
        try:
            secret = unseal(application.sealed_secret)
        except Unsealable:
            continue
        if len(secret) >= GENERATED_LENGTH:
            application.client_secret = make_password(secret, hasher=GeneratedSecretHasher.algorithm)
            application.save(update_fields=["client_secret"])


class Migration(migrations.Migration):
    dependencies = [("flowdock_server", "0014_used_codes")]
    operations = [migrations.RunPython(hash_generated_secrets_by_sha256, migrations.RunPython.noop)]
