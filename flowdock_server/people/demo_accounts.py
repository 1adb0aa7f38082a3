"""The demonstration's accounts, whose password everybody knows."""

from __future__ import annotations

from flowdock_server.models import User

PASSWORD = "demo"  # noqa: S105  (the accounts exist only where FLOWDOCK_SERVER_DEMO is set)
DEMO, OTHER = ACCOUNTS = "demo@example.com", "other@example.com"


def accounts_with_known_password() -> list[str]:
    """E-mail addresses of the accounts that anybody can sign in to."""
    accounts = User.objects.filter(email__in=ACCOUNTS, is_active=True).order_by("email")
    return [account.email for account in accounts if account.check_password(PASSWORD)]
