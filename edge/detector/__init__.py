"""People in a picture: everything between a `Frame` and its `Detections`.

Read `detections.py` (the seam), then `onnx.py` (the detector a box runs), which puts together
`description.py` (what must be known about a network), `letterbox.py` (picture to tensor and boxes
back) and `layouts.py` (raw outputs to people). `providers.py` says who may run it; `serving.py` changes to a faster one
while frames flow, once `engines.py` has its engine. `motion.py` serves where there is no network.

Nothing here knows cameras, tracks, files of models or where they come from: see `edge/models`.
"""
