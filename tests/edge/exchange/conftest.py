from pathlib import Path

import pytest

from tests.support.exchange import Exchange


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    """An exchange that nobody has opened yet."""
    return Exchange(folder=tmp_path)
