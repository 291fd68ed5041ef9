from typing import cast

from edge.layout import layout_of, oversized
from edge.settings import Settings
from protocol.wire import JsonObject


def layout(*cameras: dict[str, object]) -> JsonObject:
    settings = Settings(box={"id": "b", "venue": "v"}, camera=cameras)  # type: ignore[arg-type]
    return layout_of(settings.box, settings.cameras, {"door": (1280, 720)}, setups={}).to_object()


CORNERS = [(0, 0), (640, 0), (640, 480), (0, 480)]


def test_a_layout_says_places_and_never_addresses() -> None:
    said = layout(
        {"id": "door", "url": "rtsp://viewer:hunter2@192.0.2.1/"},
        {"id": "till", "device": "/dev/video0", "counting": False, "cell_px": 50},
        {
            "id": "floor",
            "scene": "hall",
            "file": "/films/hall.mp4",
            "image_size": (640, 480),
            "calibration": {
                "floor": "ground",
                "image_points": CORNERS,
                "floor_points": [(0, 9), (9, 9), (9, 0), (0, 0)],
            },
            "zone": [{"id": "tills", "kind": "queue", "polygon": [(0, 0), (3, 0), (3, 3)]}],
            "line": [{"id": "gate", "a": (0, 1), "b": (5, 1)}],
        },
    )
    assert said["scenes"] == [
        {"scene": "door", "counting": True},
        {"scene": "till", "counting": False},
        {"scene": "hall", "counting": True},
    ]
    door, till, hall = cast("list[dict[str, object]]", said["spaces"])
    assert door == {
        "space": "b--door-1280x720-40px",
        "coordinates": "image",
        "cell": 40.0,
        "width": 1280,
        "height": 720,
    }
    assert till == {"space": "b--till-unsized", "coordinates": "image", "cell": 50.0}
    assert (hall["coordinates"], hall["floor"], hall["cell"]) == ("floor", "ground", 0.5)
    assert said["zones"] == [
        {
            "zone": "tills",
            "scene": "hall",
            "camera": "floor",
            "kind": "queue",
            "coordinates": "floor",
            "polygon": [[0.0, 0.0], [3.0, 0.0], [3.0, 3.0]],
        }
    ]
    assert said["lines"] == [
        {
            "line": "gate",
            "scene": "hall",
            "camera": "floor",
            "kind": "entrance",
            "coordinates": "floor",
            "a": [0.0, 1.0],
            "b": [5.0, 1.0],
        }
    ]
    for secret in ("hunter2", "192.0.2.1", "/dev/video0", "hall.mp4"):
        assert secret not in str(said)


def test_as_many_cameras_as_a_box_takes_fit_into_one_message() -> None:
    cameras = [{"id": f"camera-{number}", "synthetic": {}} for number in range(200)]
    settings = Settings(box={"id": "b", "venue": "v"}, camera=cameras)  # type: ignore[arg-type]
    assert oversized(settings) == []
    longer = [{"id": f"a-camera-with-quite-a-long-name-{number}", "synthetic": {}} for number in range(256)]
    (told,) = oversized(Settings(box={"id": "b", "venue": "v"}, camera=longer))  # type: ignore[arg-type]
    assert "allowed are 61440" in told
