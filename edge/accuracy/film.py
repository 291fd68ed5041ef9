"""The certificates that a film and its truth make, as a file that is brought to the box."""

import json
from collections.abc import Iterator

from edge.accuracy.account import Account
from edge.accuracy.certificate import Certificate, checked_of
from edge.errors import ConfigurationError
from edge.replay import Replay, Result
from protocol.events import CheckMethod

__all__ = ["film_certificates"]


def film_certificates(plan: Replay, result: Result, true: Account) -> str:
    """JSON of a certificate for each line that somebody truly crossed; raises ConfigurationError without any."""
    certificates = list(_certificates(plan, result, true))
    if not certificates:
        raise ConfigurationError("--certificate: the truth has no crossing of a line of the camera; needed are some")
    return json.dumps({"certificates": [one.item() for one in certificates]}, indent=2) + "\n"


def _certificates(plan: Replay, result: Result, true: Account) -> Iterator[Certificate]:
    camera = plan.camera
    for line in camera.lines:
        checked = checked_of(result.account.passages or (), true.passages or (), line=line.id)
        if any(checked.values()):
            (model,) = plan.models
            yield Certificate(
                scene=camera.scene_id,
                camera=camera.id,
                line=line.id,
                setup=plan.setups[line.id],
                model=model.name,
                model_digest=model.digest,
                method=CheckMethod.FILM,
                length_seconds=max(1, round(result.seconds)),
                inward=checked["inward"],
                outward=checked["outward"],
            )
