"""The pages that people look at: made on the server, alive with one stream, and nothing in them from elsewhere.

Read `pages` (the addresses), `signing`, `account` and `administration` (people and keys), `rendering` (how a page is
made), `problems` (errors elsewhere), `views` and `maps` (what a page shows, read in one session), `wording` and `bars`
(numbers as words and as a drawing, pure), then `templates/` and `static/`. `front_end` names the files that come from
npm.
"""

from cloud.web.pages import create_site

__all__ = ["create_site"]
