from typing import Any

import pytest

from cloud.store.tables import WebhookDelivery
from tests.support.alerts import raise_alert
from tests.support.api import ON_SQLITE, Api
from tests.support.envelopes import rows_of
from tests.support.webhook_receiver import SECRET

NOBODY = "01KAGAGGM0FX3N5V2C8R6T9W4Y"


def listed(api: Api, **query: Any) -> list[str]:
    return [one["alert"] for one in api.read("/alerts", **query)["alerts"]]


def test_an_alert_is_acknowledged_and_then_resolved_by_people_with_names(api: Api) -> None:
    name = raise_alert(api.engine)
    acknowledged = api.write("POST", f"/alerts/{name}/acknowledge", {"by": " Ada "})
    assert (acknowledged["state"], acknowledged["acknowledged_by"], acknowledged["acknowledged"]) == (
        "acknowledged", "Ada", "2026-11-20T12:00:00Z",
    )  # fmt: skip
    again = api.write("POST", f"/alerts/{name}/acknowledge", {"by": "Grace"})
    assert again == acknowledged
    resolved = api.write("POST", f"/alerts/{name}/resolve", {"by": "Grace"})
    assert (resolved["state"], resolved["resolved_by"]) == ("resolved", "Grace")
    assert api.write("POST", f"/alerts/{name}/resolve", {"by": "Ada"}) == resolved
    assert api.request("POST", f"/alerts/{name}/acknowledge", json={"by": "Ada"}).status_code == 409


def test_alerts_are_listed_newest_first_by_venue_and_state_and_page_by_page(api: Api) -> None:
    first = raise_alert(api.engine)
    second = raise_alert(api.engine, box="box-1", minutes=1)
    third = raise_alert(api.engine, venue="other", minutes=2)
    api.write("POST", f"/alerts/{second}/acknowledge", {"by": "Ada"})
    api.write("POST", f"/alerts/{first}/resolve", {"by": "Ada"})
    assert listed(api) == [third, second, first]
    assert listed(api, venue="corner-shop") == [second, first]
    assert [listed(api, state=state) for state in ("active", "acknowledged", "resolved")] == [
        [third],
        [second],
        [first],
    ]
    page = api.read("/alerts", limit=2)
    assert page["next"] == second
    assert api.read("/alerts", limit=2, before=page["next"]) == {
        "alerts": api.read("/alerts", state="resolved")["alerts"],
        "next": None,
    }


@pytest.mark.parametrize("is_told", [True, False], ids=["with a webhook", "without one"])
def test_what_people_do_is_told_where_there_is_somebody_to_tell(api: Api, is_told: bool) -> None:
    alerts = {"alerts": {"webhook_url": "https://hook.example/", "webhook_secret": SECRET}} if is_told else {}
    told = Api(api.engine, settings=alerts)
    name = raise_alert(api.engine)
    for verb in ("acknowledge", "acknowledge", "resolve", "resolve"):
        told.write("POST", f"/alerts/{name}/{verb}", {"by": "Ada"})
    types = sorted(str(row["type"]) for row in rows_of(api.engine, WebhookDelivery, box=None))
    assert types == (["alert.acknowledged", "alert.resolved"] if is_told else [])


@ON_SQLITE
@pytest.mark.parametrize("verb", ["acknowledge", "resolve"])
def test_a_decision_needs_an_alert_and_a_name(api: Api, verb: str) -> None:
    name = raise_alert(api.engine)

    def status(alert: str, **body: str) -> int:
        return api.request("POST", f"/alerts/{alert}/{verb}", json=dict(body)).status_code

    assert status(NOBODY, by="Ada") == 404
    assert status("none", by="Ada") == 422
    assert status(name) == 422
    assert status(name, by="  ") == 422
    assert status(name, by="A\0da") == 422
    assert status(name, by="x" * 121) == 422
    assert status(name, by="Ada", why="no reason") == 422


@ON_SQLITE
def test_a_list_asked_for_wrongly_is_refused(api: Api) -> None:
    for query in ({"state": "asleep"}, {"before": "yesterday"}, {"venue": "Corner Shop"}, {"limit": 0}):
        assert api.get("/alerts", **query).status_code == 422
