from django.apps import AppConfig


class FlowdockServerConfig(AppConfig):
    name = "flowdock_server"
    verbose_name = "Flowdock"
