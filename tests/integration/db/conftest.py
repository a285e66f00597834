from collections.abc import Iterator

import pytest

from tests.integration.db.release import Release, ReleaseMissingError, open_release


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    """The last release, which cannot make a schema."""
    try:
        with open_release() as release:
            yield release
    except ReleaseMissingError as error:
        pytest.fail(str(error), pytrace=False)
