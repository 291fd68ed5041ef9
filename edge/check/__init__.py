"""`footfall edge check`: what this box has, what it lacks, and what to do about it.

Read `findings` first, then `survey`, which asks one topic after another. Each topic is a module: `versions`,
`decoders`, `runtime`, `model`, `cameras`, `disk`, `clock`, `broker`, `egress`. `camera_test` looks longer at one
camera, with `still` for its picture, and `commands` is what a person at a terminal sees. Nothing in here changes the
box, or publishes anything.
"""
