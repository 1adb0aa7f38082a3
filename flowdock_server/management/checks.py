"""Which system checks the server's commands run when they start: none.

All of its own are about a deployment (`check --deploy`). Those of Django's are about code; `check` and `migrate` run
them. They would double the time that a command takes to start.
"""

NO_CHECKS: tuple[str, ...] = ()
