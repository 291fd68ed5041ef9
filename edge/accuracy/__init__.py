"""How far what was counted in a film is from the truth, and how sure one may be of that.

Read `account` (who came and who crossed, counted or true), `truth` and `labels` (the truth as people and as labelling
tools write it), `comparison` (one beside the other), `intervals` (the statistics), and `rates`, which plays the film
again at half and at a quarter of the rate. A line's `certificate` comes from a `film` and is `brought` to the box, or
from a check on the spot: `onsite` is that, and `commands` what a person sees of it.
"""
