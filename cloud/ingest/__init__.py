"""From payload to commit to acknowledgement: the half of delivery that loses nothing and counts nothing twice.

Read `intake` (a payload becomes a delivery), `receipts` (what was received before), `judgement` (may it count now?),
`rollups` and `tiles` (what it adds up to), `ledger` (the rows of one transaction) and `commit`, which puts them
together. `release` lets held items in later; `worker` stands between the broker and `commit`.
"""

__all__: list[str] = []
