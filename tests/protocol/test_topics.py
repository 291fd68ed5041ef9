import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.topics import ALL_UP, Direction, Leaf, Topic, direction_of, parse, subscription

SLUGS = st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True)


def _matches(pattern: str, topic: str) -> bool:
    """Whether an MQTT subscription without `#` takes a topic."""
    wanted, found = pattern.split("/"), topic.split("/")
    return len(wanted) == len(found) and all(w in ("+", f) for w, f in zip(wanted, found, strict=True))


@given(venue=SLUGS, box=SLUGS, leaf=st.sampled_from(Leaf))
def test_a_topic_is_written_and_read(venue: str, box: str, leaf: Leaf) -> None:
    topic = Topic(venue=venue, box=box, leaf=leaf)
    assert parse(str(topic)) == topic
    is_up = direction_of(leaf) is Direction.UP
    assert _matches(ALL_UP, str(topic)) == is_up
    assert _matches(subscription(venue=venue, box=box), str(topic)) == (not is_up)


@given(text=st.text(max_size=80))
def test_any_text_is_a_topic_of_ours_or_none(text: str) -> None:
    topic = parse(text)
    assert topic is None or str(topic) == text


@pytest.mark.parametrize(
    "text",
    [
        "footfall/v1/harbour-shop/box-7/up/ack",
        "footfall/v1/harbour-shop/box-7/down/events",
        "footfall/v1/harbour-shop/box-7/up/gossip",
        "footfall/v2/harbour-shop/box-7/up/events",
        "footfall/v1/harbour-shop/box-7/up/events/more",
        "footfall/v1/harbour-shop/box-7/up/events\n",
        "footfall/v1/Harbour/box-7/up/events",
        "footfall/v1/+/box-7/up/events",
        "footfall/v1//box-7/up/events",
        f"footfall/v1/{'a' * 64}/box-7/up/events",
    ],
)
def test_not_a_topic_of_ours(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("slug", ["", "+", "#", "a/b", "Harbour", "a" * 64, "a\n"])
def test_no_topic_is_made_of_what_is_no_slug(slug: str) -> None:
    with pytest.raises(ValueError, match="venue and box"):
        Topic(venue=slug, box="box-7", leaf=Leaf.EVENTS)
    with pytest.raises(ValueError, match="venue and box"):
        Topic(venue="harbour-shop", box=slug, leaf=Leaf.EVENTS)
