"""Who this box is to the cloud: a key that never leaves it, and the certificate by which the broker knows it.

Read `identity` (the files), then `cloud` (how a code becomes a certificate), `renewal` (how it stays good) and
`commands` (`footfall edge enrol`).
"""
