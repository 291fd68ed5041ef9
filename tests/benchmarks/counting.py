"""How many visits and crossings are found, and how many of those counted are right, on a film of a real square.

The film is `pets_s2l1` (10 frames a second, 79 seconds, 19 people, up to eight at a time) with yolox_nano, at full
rate, as `footfall edge replay --truth` judges it. Three lines stand across the square, at a quarter, half and three
quarters of the picture's width; their crossings in either direction are added up. Matched are those that counting and
truth share: matched over true is the recall, matched over counted the precision. The cloud takes these figures for
lines that nobody has certified.
"""

import json
from datetime import UTC, datetime

from edge.accuracy.comparison import Figure, compare
from edge.accuracy.truth import read_truth
from edge.assembly import eyes
from edge.replay import Outputs, Replay, footage, replay
from edge.settings import BoxSettings, CameraSettings, DetectorSettings
from tests.support.assets import assets_folder

__all__ = ["main"]

LINES = {"left": 120, "middle": 240, "right": 360}


def main() -> None:
    """Measure, and end with one line of figures."""
    assets = assets_folder()
    film = assets / "videos/pets_s2l1.mp4"
    lines = [{"id": name, "a": (x, 340), "b": (x, 60)} for name, x in LINES.items()]
    camera = CameraSettings.model_validate({"id": "square", "file": film, "image_size": (480, 360), "line": lines})
    box = BoxSettings(id="box", venue="venue")
    plan = Replay(video=film, camera=camera, box=box, seed=0, start=datetime(2026, 1, 1, tzinfo=UTC))
    detector = eyes(DetectorSettings(model=str(assets / "models/yolox_nano.onnx")), environment={}).watching([camera])
    result = replay(plan, detector, Outputs(), progress=lambda _: None)
    truth = read_truth(film.with_suffix(".gt.txt"), camera=camera, footage=footage(film)).account(result.film)
    visits, _, *crossings = compare(result.account, truth, lines=list(LINES))
    print(json.dumps({"counts": {"visits": _summed([visits]), "crossings": _summed(crossings)}}))


def _summed(figures: list[Figure]) -> dict[str, float]:
    matched = sum(figure.found.part for figure in figures if figure.found)
    counted, true = (round(sum(getattr(figure, name) or 0 for figure in figures)) for name in ("counted", "true"))
    shares = {"recall": round(matched / true, 3), "precision": round(matched / counted, 3)}
    return {**shares, "counted": counted, "true": true, "matched": matched}


if __name__ == "__main__":
    main()
