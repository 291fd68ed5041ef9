"""The HTTP API under /api/v1: a route is a signature and one call.

Read `app` (what is put together), `needs` and `guard` (who comes in), `dependencies` (sessions, callers and periods as
annotated aliases), `problems` (every error as RFC 9457), then one file a resource: `venues`, `plans`, `boxes`,
`cameras`, `figures`, `live`, `heatmaps`, `events`, `held`, `users`, `keys`, `audit`, `health`. The rules and queries
behind them live in `cloud` itself and know nothing of HTTP.
"""

from cloud.api.app import API_ROOT, create_app

__all__ = ["API_ROOT", "create_app"]
