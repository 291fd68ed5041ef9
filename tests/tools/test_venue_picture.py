from pathlib import Path

import pytest
from PIL import Image

from cloud.web import front_end
from tools import venue_picture

COMMITTED = Path(__file__).parents[2] / "docs" / "venue.png"


@pytest.mark.needs_chromium
@pytest.mark.skipif(bool(front_end.absent()), reason="needs the files that tools/fetch_front_end.sh fetches")
def test_the_picture_of_the_page_is_made_anew_and_small(tmp_path: Path) -> None:
    target = tmp_path / "venue.png"
    assert venue_picture.main(["--to", str(target)]) == 0
    assert target.stat().st_size <= 200_000
    with Image.open(target) as made, Image.open(COMMITTED) as committed:
        assert made.size == committed.size
