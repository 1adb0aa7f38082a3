"""`python -m flowdock_server <command>`: the server's own manage command."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "flowdock_server.settings"
    utility = ManagementUtility()
    utility.prog_name = "python -m flowdock_server"
    try:
        utility.execute()
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
