"""Who may speak to the broker: the cloud's own certificate authority, and what it gives and takes back.

Read `authority` (keys and signatures), then `certificates` (which were given, to whom, and which are void), `codes`
(how a stranger becomes a box), `enrolment` (a code becomes a certificate) and `revocation`. `mosquitto` words all of
that for the broker, and `follower` keeps it true there.
"""
