from collections.abc import Iterator

import pytest

from tests.stack import Stack, running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Bridge, Flowdock server and worker, running; one for all the tests of a module."""
    with running(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
