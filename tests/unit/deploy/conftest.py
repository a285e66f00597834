import pytest

from tests.unit.deploy.checkers import Checkers

CHECKERS = pytest.StashKey[Checkers]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CHECKERS] = Checkers()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[CHECKERS].stop()


def pytest_itemcollected(item: pytest.Item) -> None:
    # Now, and not at the end of the collection, which takes seconds. Which tests `-k` and `-m`
    # leave is not known yet: then the fixture starts them.
    option = item.config.option
    if _asks(item) and not (option.collectonly or option.keyword or option.markexpr):
        item.config.stash[CHECKERS].start()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask the checkers after all other unit tests."""
    verdicts = [item for item in items if _asks(item)]
    if not verdicts:
        return
    unit = verdicts[0].path.parents[1]
    others = [item for item in items if not _asks(item)]
    end = 1 + max((at for at, item in enumerate(others) if unit in item.path.parents), default=-1)
    items[:] = [*others[:end], *verdicts, *others[end:]]


def _asks(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "checkers" in item.fixturenames


@pytest.fixture
def checkers(request: pytest.FixtureRequest) -> Checkers:
    found = request.config.stash[CHECKERS]
    found.start()
    return found
