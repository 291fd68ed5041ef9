"""A box: cameras in, anonymous facts out.

Read `camera`, `detector`, `tracker` and `stitching` for how pictures become people; `scene` for the one place where
all of it meets, with `floor`, `zones`, `lines`, `visits` and `heatmap` behind it; `reports` and `anonymity` for what
may be said; `exchange` for how it is kept; `uplink` for how it gets out. `vision` and `replay` are the two loops,
`assembly` puts a box together, `cli` is its command.
"""

import os

# ONNX Runtime tells its maker about models and machine from its import on, unless this stands before that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
