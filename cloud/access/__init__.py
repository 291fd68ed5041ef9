"""Who may do what: people, programs, what they may see, and what they did.

Read `roles` (what may be granted), `callers` (who asks), then what opens the door: `passwords` and `users`, `sessions`,
`keys`, `links`; then `limits` (how often) and `audit` (who did what). `commands` is the command line of it. Knows
nothing of HTTP; `cloud.api.guard` is the one place that decides.
"""

__all__: list[str] = []
