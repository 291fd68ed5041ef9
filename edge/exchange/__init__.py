"""The exchange: the one SQLite file through which vision and uplink meet.

Read `schema` for the tables, `batch` for what comes in, `writer` for vision's side, `outbox` for uplink's. Behind the
outbox stand `settling`, `settled` and `again` (what an answer settles, what is settled, and what a new store must get
again); behind the writer stand `lock`, `numbering` (how items get their names), `placing` (how they get their place in
UTC, from what `boots` knows) and `shedding` with `summing`, `room`, `ballast` and `note` (how room is made). Nothing in
here knows what an item means, but for adding equal ones up.
"""
