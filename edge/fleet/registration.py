"""How a cloud comes to know made-up boxes: a venue and a box each, over its API, with a key that may make them."""

from http import HTTPStatus

import httpx

from edge.errors import ConfigurationError, EdgeError
from edge.fleet.simulation import box_name, venue_name

__all__ = ["register"]

_SECONDS = 30.0


def register(*, cloud: str, key: str, boxes: int) -> None:
    """Make what is not there yet; raises EdgeError that says what the cloud answered."""
    try:
        with httpx.Client(
            base_url=f"{cloud.rstrip('/')}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS
        ) as client:
            for number in range(1, boxes + 1):
                venue, box = venue_name(number), box_name(number)
                about = {"name": f"Simulated shop {number}", "timezone": "UTC", "kind": "shop"}
                _make(client, "/venues", {"venue": venue, **about})
                _make(client, "/boxes", {"box": box, "venue": venue})
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"--cloud: found {cloud!r}; allowed is one like https://cloud.example") from error
    except httpx.HTTPError as error:
        raise EdgeError(f"The cloud at {cloud} cannot be asked: {error}") from error


def _make(client: httpx.Client, path: str, about: dict[str, str]) -> None:
    answer = client.post(path, json=about)
    if answer.is_success or answer.status_code == HTTPStatus.CONFLICT:
        return
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = "no word of why; is this the address of `footfall cloud serve`?"
    raise EdgeError(f"The cloud answered {answer.status_code} to POST {path}: {detail}")
