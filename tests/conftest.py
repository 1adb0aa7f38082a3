import pytest

from tests.databases import folder_for_databases


def pytest_configure(config: pytest.Config) -> None:
    # The processes that pytest-xdist starts inherit it.
    folder = folder_for_databases()
    folder.__enter__()
    config.add_cleanup(lambda: folder.__exit__(None, None, None))
