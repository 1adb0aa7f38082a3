import pytest
from django.test import Client


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/hooks/nowhere/"])
def test_unknown_host_name_is_logged_as_one_warning(
    client: Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    answer = client.get(path, headers={"host": "elsewhere.test"})

    assert answer.status_code == 400
    (record,) = [each for each in caplog.records if each.name != "django.request"]
    assert "elsewhere.test" in record.getMessage()
    assert record.levelname == "WARNING"
    assert record.exc_info is None
