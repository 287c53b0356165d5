"""An application service on a current mautrix.

Usage: PORT, with HS_TOKEN in the environment. Prints one JSON object for each event; its
requests are logged on stderr, as aiohttp does.
"""

from __future__ import annotations

import json
import logging
import os
import sys

from aiohttp import web
from mautrix.appservice.as_handler import AppServiceServerMixin
from mautrix.types import Event


class Service(AppServiceServerMixin):
    """The half of the library that listens."""

    async def hear(self, event: Event) -> None:
        """Prints it."""
        content = event.content.serialize()
        print(json.dumps({"event": content.get("body", str(event.type))}), flush=True)


logging.basicConfig(level=logging.INFO)
service = Service(hs_token=os.environ["HS_TOKEN"], log=logging.getLogger("bridge"))
service.matrix_event_handler(service.hear)
app = web.Application()
service.register_routes(app)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
