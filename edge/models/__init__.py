"""Networks as files: which there are, where they come from, under which licence, and whether they are whole.

Read `manifest.py` (what an entry says; `manifest.toml` holds the published ones), then `store.py` (the
folder of models on this machine), `download.py` (one file over HTTP, resumable), `licences.py` (what was
accepted, and when) and `commands.py` (`footfall models`). What is made of a model here: `exporting.py` (ONNX of
weights) and `quantising.py` (whole numbers), which `agreement.py` judges by `pictures.py`.

Nothing but those runs a network: see `edge/detector`.
"""
