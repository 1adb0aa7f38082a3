"""A fixture for tests in which time passes; conftest modules import it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db.models import F
from django.utils import timezone

from integrations.models import Delivery


@pytest.fixture
def pass_time(time_machine) -> Callable[[float], None]:
    """Move this process's clock on by so many seconds, from where it stands.

    The database's clock cannot be moved. What the outbox compares with it is moved into the past instead.
    """

    def move(seconds: float) -> None:
        time_passed = dt.timedelta(seconds=seconds)
        time_machine.move_to(timezone.now() + time_passed, tick=True)
        Delivery.objects.scheduled().update(next_attempt_at=F("next_attempt_at") - time_passed)

    return move
