from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from . import checks, ingest, sessions  # noqa: F401  register the system checks and the receivers of signals
