"""How many people are in view right now, which a box tells the broker each second and the API does not pass on."""

from collections.abc import Collection
from types import TracebackType
from typing import Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from protocol.status import Live
from protocol.topics import Leaf, Topic

__all__ = ["InView"]


class InView:
    """Listens to a box's `live` messages while the context lasts, and adds up the people of these scenes."""

    def __init__(self, *, venue: str, box: str, scenes: Collection[str], host: str, port: int) -> None:
        self.people: int | None = None
        self._scenes = scenes
        self._address = (host, port)
        self._topic = str(Topic(venue=venue, box=box, leaf=Leaf.LIVE))
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic)
        self._client.on_message = self._take

    def __enter__(self) -> Self:
        self._client.connect(*self._address)
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        live = Live.read(bytes(message.payload))
        self.people = sum(int(scene.people) for scene in live.scenes if scene.scene in self._scenes)
