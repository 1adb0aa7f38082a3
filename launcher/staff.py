"""`python -m launcher.staff`: create the account `staff` for the bridge's admin, with the password in STAFF_PASSWORD.

Unlike `createsuperuser` it can be repeated, which is needed if the first start was interrupted before it printed the
password.
"""

from __future__ import annotations

import os

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")
    django.setup()
    from django.contrib.auth.models import User  # has to wait for setup()

    staff, _ = User.objects.get_or_create(
        username="staff", defaults={"email": "staff@example.com", "is_staff": True, "is_superuser": True}
    )
    staff.set_password(os.environ["STAFF_PASSWORD"])
    staff.save(update_fields=["password"])


if __name__ == "__main__":
    main()
