"""`python -m flowdock_server <command>`: the server's own manage command."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.db import OperationalError, ProgrammingError

NAME = "python -m flowdock_server"


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "flowdock_server.settings"
    # By its name, which usage and help tell.
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
    """A sentence for what mostly has one of two causes."""
    said = str(error).strip()
    if any(sign in said for sign in ("no such table", "no such column", "does not exist")):
        return f"The database is not as this version needs it: {NAME} migrate. ({said.splitlines()[0]})"
    return f"The database does not answer as it should: {said}"


if __name__ == "__main__":
    main()
