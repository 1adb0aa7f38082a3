"""`python -m flowdock_server <command>`: the server's own manage command."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.db import OperationalError, ProgrammingError

NAME = "python -m flowdock_server"


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "flowdock_server.settings"
    # With the name that usage and help show.
    utility = ManagementUtility([NAME, *sys.argv[1:]])
    try:
        utility.execute()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except (OperationalError, ProgrammingError) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(_of_the_database(error))


def _of_the_database(error: Exception) -> str:
    """What to do about an error of the database, most of which have one of two causes."""
    reason = str(error).strip()
    if any(sign in reason for sign in ("no such table", "no such column", "does not exist")):
        return f"The database is not up to date. Run {NAME} migrate. ({reason.splitlines()[0]})"
    return f"The database is not available: {reason}"


if __name__ == "__main__":
    main()
