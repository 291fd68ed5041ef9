"""Uplink: what waits in the exchange goes to the cloud, until the cloud says that it has committed it.

Read `service` for the loop, `delivery` for what is sent and what an answer means, `roll_call` for when which epoch is
spoken of, `bulletin` for what the box says of itself, `link` for MQTT. `assembly` builds it from settings. Nothing in
here can open a camera.
"""
