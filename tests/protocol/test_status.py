import pytest
from pydantic import ValidationError

from protocol.status import Status
from tests.support.golden import read_golden


def test_a_box_that_is_online_shows_its_mode() -> None:
    status = {name: value for name, value in read_golden("status").items() if name != "mode"}
    with pytest.raises(ValidationError, match="mode"):
        Status.model_validate(status)


@pytest.mark.parametrize("version", [True, "1", 2], ids=["true", "text", "another"])
def test_the_protocol_is_1(version: object) -> None:
    with pytest.raises(ValidationError, match="protocol"):
        Status.model_validate({**read_golden("status"), "protocol": version})
