from django.apps import AppConfig


class PollsConfig(AppConfig):
    name = "polls"
    verbose_name = "Polls"

    def ready(self) -> None:
        from integrations.signals import offer

        from .connecting import OWN_APP

        offer(OWN_APP)
