import io
import struct
import zlib

import pytest
from PIL import Image

from tests.support.api import ON_SQLITE, Api, image_bytes

SCALE: dict[str, str | float] = {"name": "Ground floor", "metres_per_pixel": 0.05, "origin_x_px": 0, "origin_y_px": 40}


@pytest.mark.parametrize(("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_an_image_comes_back_byte_for_byte(api: Api, kind: str, media_type: str) -> None:
    api.make_venue()
    content = image_bytes(kind)
    put = api.request("PUT", "/venues/corner-shop/plans/ground", content=content, query=SCALE)
    assert put.status_code == 201
    shown = api.read("/venues/corner-shop/plans/ground")
    assert {
        **SCALE,
        "media_type": media_type,
        "width_px": 60,
        "height_px": 40,
        "floor": "ground",
    }.items() <= shown.items()
    image = api.get("/venues/corner-shop/plans/ground/image")
    assert image.content == content
    assert image.headers["content-type"] == media_type
    assert image.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/venues/corner-shop/plans/ground", "/venues/corner-shop/plans/ground/image"])
def test_who_has_the_newest_is_not_sent_it_again(api: Api, path: str) -> None:
    api.make_venue()
    api.request("PUT", "/venues/corner-shop/plans/ground", content=image_bytes(), query=SCALE)
    tag = api.get(path).headers["etag"]
    again = api.get(path, {"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    replaced = api.request("PUT", "/venues/corner-shop/plans/ground", content=image_bytes("JPEG"), query=SCALE)
    assert replaced.status_code == 200
    assert api.get(path, {"If-None-Match": tag}).status_code == 200


def test_a_removed_plan_is_gone(api: Api) -> None:
    api.make_venue()
    api.request("PUT", "/venues/corner-shop/plans/ground", content=image_bytes(), query=SCALE)
    assert len(api.get("/venues/corner-shop/plans").json()) == 1
    assert api.request("DELETE", "/venues/corner-shop/plans/ground").status_code == 204
    assert api.get("/venues/corner-shop/plans").json() == []
    assert api.get("/venues/corner-shop/plans/ground/image").status_code == 404


def _bomb() -> bytes:
    """A PNG of a few bytes that says it is 30,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _animated() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


@ON_SQLITE
@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "none of them", id="nothing"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "none of them", id="SVG"),
        pytest.param(b"<html>hello</html>", "none of them", id="HTML that says it is a PNG"),
        pytest.param(image_bytes("GIF"), "none of them", id="GIF that says it is a PNG"),
        pytest.param(image_bytes("BMP"), "none of them", id="BMP that says it is a PNG"),
        pytest.param(image_bytes("PNG", (300, 300))[:200], "damaged or cut short", id="PNG cut short"),
        pytest.param(image_bytes("JPEG", (300, 300))[:-800], "damaged or cut short", id="JPEG cut short"),
        pytest.param(_bomb(), "at most 16384 pixels a side", id="pixel bomb"),
        pytest.param(_animated(), "a still picture", id="animation"),
    ],
)
def test_an_image_that_lies_about_itself_is_refused(api: Api, content: bytes, says: str) -> None:
    api.make_venue()
    headers = {"Content-Type": "image/png"}
    response = api.request("PUT", "/venues/corner-shop/plans/ground", content=content, headers=headers, query=SCALE)
    assert response.status_code == 422
    assert says in response.json()["detail"]
    assert api.get("/venues/corner-shop/plans").json() == []


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"metres_per_pixel": 0}, "query.metres_per_pixel", id="no scale"),
        pytest.param({"metres_per_pixel": -0.1}, "query.metres_per_pixel", id="negative scale"),
        pytest.param({"metres_per_pixel": "nan"}, "query.metres_per_pixel", id="no number"),
        pytest.param({"metres_per_pixel": 0.0001}, "0.5 m to 5000 m", id="a floor of millimetres"),
        pytest.param({"metres_per_pixel": 99}, "0.5 m to 5000 m", id="a floor of kilometres"),
        pytest.param({"origin_x_px": 9999}, "origin_x_px: between -60 and 120", id="origin far from the image"),
        pytest.param({"origin_y_px": -41}, "origin_y_px: between -40 and 80", id="origin far above the image"),
        pytest.param({"name": ""}, "query.name", id="no name"),
    ],
)
def test_a_scale_without_reason_is_refused(api: Api, change: dict[str, float | str], says: str) -> None:
    api.make_venue()
    response = api.request("PUT", "/venues/corner-shop/plans/ground", content=image_bytes(), query={**SCALE, **change})
    assert response.status_code == 422
    assert says in response.text


def test_a_plan_of_no_venue_is_refused(api: Api) -> None:
    assert api.request("PUT", "/venues/nowhere/plans/ground", content=image_bytes(), query=SCALE).status_code == 404
