"""The demonstration's accounts, whose password is public."""

from __future__ import annotations

from flowdock_server.models import User

PASSWORD = "demo"  # noqa: S105  (the accounts exist only where FLOWDOCK_SERVER_DEMO is set)
DEMO, OTHER = ACCOUNTS = "demo@example.com", "other@example.com"


def accounts_with_known_password() -> list[str]:
    """The e-mail addresses of accounts that still have the public password."""
    accounts = User.objects.filter(email__in=ACCOUNTS, is_active=True).order_by("email")
    return [account.email for account in accounts if account.check_password(PASSWORD)]
