"""What crosses the wire between box and cloud, and nothing about how either end works.

Read `wire` first (scalars, strict writing, tolerant reading), then `events` and `tiles` (what a box tells),
`configuration` (what its numbers refer to), `envelope` (how items travel, gaps, reading), `acks` (how they are
settled), `status` and `control` (the rest of the topics), `topics` (their names). `modes`, `histograms` and
`proportions` are what both ends must reckon alike; `catalogue` names every type of item; `json_text` is the gate for
text from outside; `documents` draws JSON Schemas from the models.
"""

__all__ = [
    "acks",
    "catalogue",
    "configuration",
    "control",
    "documents",
    "envelope",
    "events",
    "histograms",
    "json_text",
    "modes",
    "proportions",
    "status",
    "tiles",
    "topics",
    "wire",
]
