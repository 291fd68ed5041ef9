"""A made-up shop of which everything is known: for demos, tests, benchmarks, and to train a detector of its figures.

Read `plan` first (walls, shelves, till, zones, in metres), then `till` and `life` (who walks where and when),
`truth` (what ought to be counted of it). What a camera makes of it: `lens` (true perspective), `figure` (a body in
three dimensions), `sight` (who is seen, and how much of them), `drawing` (the picture) and `film` (pictures as a
camera sends them, and the truth apart from them); `edge.camera.synthetic` plays it. `days` writes whole days as items,
without pictures, of the shop as `layout` tells a cloud of it.

Nothing that counts people imports this, but for the camera that shows it, and the settings for the names of views.
"""
