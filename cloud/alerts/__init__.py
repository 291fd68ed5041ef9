"""Alerts: what a person should look at now, found by rules, kept until it is over, and told to a webhook.

Read `rules` (facts become steps, a pure function), `facts` (what the database says of venues and boxes), `book` (the
rows of alerts, and what is to be told of them), `webhook` (the only client that speaks to an address of other people),
`delivery` (what waits is sent, for as long as it takes) and `watch` (the loop, in one process at a time).
"""

__all__: list[str] = []
