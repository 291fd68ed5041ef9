"""Where pictures come from: network cameras, USB cameras, video files, and a drawn shop floor.

Read `frames` first: it is the seam, and the only place where pixels exist. Then the sources:
`pictures` (what FFmpeg opens and decodes), `presentation` (when a frame was shown), `sampling`
(which frames are analysed), `live` with `rtsp` and `usb`, `file` with `pace`, and `synthetic`
(drawn by `edge.synthetic`). `trouble` says why a source cannot be read. Then what runs them: `health`
and `latest`, where the threads are (`edge.backoff` spaces their attempts). `masks` blanks what must not be analysed.
"""

from edge.backoff import Backoff
from edge.camera.file import FileSource
from edge.camera.frames import Frame, FrameSource, Image
from edge.camera.health import HealthChange, HealthState, Note
from edge.camera.latest import Cameras, Counters, DropPolicy, Feed
from edge.camera.masks import IgnoreMasks, Polygon
from edge.camera.pace import AsFastAsPossible, Pace, RealTime
from edge.camera.pictures import Rotation
from edge.camera.rtsp import RtspSource
from edge.camera.sampling import Sampler
from edge.camera.synthetic import SyntheticSource
from edge.camera.trouble import SourceTrouble, Trouble
from edge.camera.usb import UsbSource
from edge.synthetic.sight import Truth, TruthFrame, TruthVisit

__all__ = [
    "AsFastAsPossible",
    "Backoff",
    "Cameras",
    "Counters",
    "DropPolicy",
    "Feed",
    "FileSource",
    "Frame",
    "FrameSource",
    "HealthChange",
    "HealthState",
    "IgnoreMasks",
    "Image",
    "Note",
    "Pace",
    "Polygon",
    "RealTime",
    "Rotation",
    "RtspSource",
    "Sampler",
    "SourceTrouble",
    "SyntheticSource",
    "Trouble",
    "Truth",
    "TruthFrame",
    "TruthVisit",
    "UsbSource",
]
