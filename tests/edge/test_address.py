"""Of an address nothing is said but scheme, host and port, and of its secrets nothing by anybody."""

import pytest

from edge.address import Address, fill_in, place_of, shows_password, without_urls

SECRET = "p@ss/w:rd-4711"
ENCODED = "p%40ss%2Fw%3Ard-4711"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        pytest.param("rtsp://10.0.0.7:554/stream1", "rtsp://10.0.0.7:554", id="no secret"),
        pytest.param("rtsp://admin:s3cret@10.0.0.7/stream1", "rtsp://10.0.0.7", id="user and password"),
        pytest.param("rtsp://s3cret@10.0.0.7/stream1", "rtsp://10.0.0.7", id="user alone"),
        pytest.param("rtsps://[2001:db8::7]:322/s3cret", "rtsps://[2001:db8::7]:322", id="IPv6"),
        pytest.param("rtsp://10.0.0.7/?usr=admin&psw=s3cret", "rtsp://10.0.0.7", id="query"),
        pytest.param("rtsp://10.0.0.7/live/s3cret/ch0", "rtsp://10.0.0.7", id="path"),
        pytest.param("rtsp://10.0.0.7?s3cret#s3cret", "rtsp://10.0.0.7", id="no path"),
        pytest.param("rtsp://admin:x:y/z@10.0.0.7/a", "rtsp://***", id="password that ends the host"),
        pytest.param("rtsp://s3cret:12/x@10.0.0.7/a", "rtsp://***", id="password that looks like host and port"),
        pytest.param("rtsp://10.0.0.7/?psw=a@s3cret", "rtsp://***", id="an at sign in the query"),
        pytest.param("rtsp://a:b@s3cret/c@10.0.0.7/", "rtsp://***", id="an at sign before the host and after it"),
        pytest.param("rtsp://[s3cret/", "rtsp://***", id="no url at all"),
        pytest.param("/dev/video0", "/dev/video0", id="device"),
    ],
)
def test_only_the_place_is_said(address: str, place: str) -> None:
    assert place_of(address) == place
    assert without_urls(f"cannot open {address} today") == f"cannot open {place} today"


@pytest.mark.parametrize(
    "template",
    [
        "rtsp://viewer:${DOOR}@10.0.0.7:554/live",
        "rtsp://10.0.0.7:554/?usr=viewer&psw=${DOOR}",
        "rtsp://10.0.0.7:554/live/${DOOR}/ch0",
        "rtsp://10.0.0.7:554/live?x#${DOOR}",
    ],
)
@pytest.mark.parametrize("given", [ENCODED, "ab", "4711"])
@pytest.mark.parametrize(
    "words", ["{url}: 401", "401 for {secret}", "'{secret}' is wrong", "no {decoded} or {encoded}", "GET {path}"]
)
def test_what_came_from_elsewhere_is_struck_out_of_what_others_say(template: str, given: str, words: str) -> None:
    address = fill_in(template, {"DOOR": given}.get)
    decoded = SECRET if given == ENCODED else given
    path = address.text.partition(":554")[2]
    said = address.masked(words.format(url=address.text, secret=given, decoded=decoded, encoded=given, path=path))
    assert given not in said
    assert decoded not in said
    assert given not in repr(address)


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://admin:s3cret@10.0.0.7/a",
        "rtsp://admin:s3@cr/et@10.0.0.7/a",
        "rtsp://admin:se/cret@10.0.0.7/a",
        "rtsp://admin:${DOOR}x@10.0.0.7/a",
        "rtsp://10.0.0.7/a?user=admin&password=s3cret",
        "rtsp://10.0.0.7/?usr=admin&PSW=s3cret",
        "rtsp://10.0.0.7/user=admin_password=s3cret_channel=1",
        "rtsp://${USER}:${DOOR}@10.0.0.7/a?pwd=s3cret",
    ],
)
def test_a_password_that_is_written_out_is_seen(address: str) -> None:
    assert shows_password(address)


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://10.0.0.7:554/a?channel=1",
        "rtsp://admin@10.0.0.7/a",
        "rtsp://admin:${DOOR}@10.0.0.7:554/a",
        "rtsp://${USER}:${DOOR}@[2001:db8::7]:322/a",
        "rtsp://10.0.0.7/a?user=admin&password=${DOOR}",
        "rtsp://10.0.0.7/user=admin_password=${DOOR}_channel=1",
        "rtsp://10.0.0.7/user=admin_password=_channel=1",
        "rtsp://10.0.0.7/a?compass=north",
    ],
)
def test_where_no_password_is_written_out_none_is_seen(address: str) -> None:
    assert not shows_password(address)


def test_a_short_value_spoils_no_number_and_no_word() -> None:
    address = fill_in("rtsp://10.0.0.7/channel/${CHANNEL}", {"CHANNEL": "1"}.get)
    assert address.masked("Server returned 401 Unauthorized on 1") == "Server returned 401 Unauthorized on ***"


def test_an_address_that_is_written_out_is_struck_out_too() -> None:
    address = Address(text="rtsp://viewer:hunter2@10.0.0.7/live/s3cret?psw=hunter3")
    said = address.masked("rtsp://viewer:hunter2@10.0.0.7/live/s3cret?psw=hunter3 or hunter2, s3cret and hunter3")
    assert said == "rtsp://10.0.0.7 or ***, *** and ***"


@pytest.mark.parametrize(
    ("template", "allowed"),
    [
        ("rtsp://x:${DOOR}@10.0.0.7/", "not set: DOOR"),
        ("${URL}", "not set: URL"),
    ],
)
def test_a_variable_without_a_value_is_named(template: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=allowed):
        fill_in(template, lambda _: None)


def test_what_is_no_stream_once_it_is_filled_in_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValueError, match="a url as in rtsp://") as caught:
        fill_in("${URL}", {"URL": f"http://viewer:{SECRET}@10.0.0.7/"}.get)
    assert SECRET not in str(caught.value)
