from django.apps import AppConfig


class FlowdockServerConfig(AppConfig):
    name = "flowdock_server"
    verbose_name = "Flowdock"

    def ready(self) -> None:
        from flowdock_server import checks  # noqa: F401  register the system checks
