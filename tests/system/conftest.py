"""The order of the system tests."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Words of our own."""
    config.addinivalue_line("markers", "last: run at the end, since it waits for what goes on meanwhile")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those marked `last` there."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
