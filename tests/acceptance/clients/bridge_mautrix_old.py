"""An application service on mautrix-appservice 0.3.

Usage: PORT, with HS_TOKEN in the environment. Prints one JSON object for each event; its
requests are logged on stderr, as aiohttp does. Keeps a file in its working directory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys

from mautrix_appservice import AppService


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    service = AppService(
        "http://127.0.0.1:9",
        "localhost",
        "no token of its own",
        os.environ["HS_TOKEN"],
        "bot",
        loop=asyncio.get_running_loop(),
        aiohttp_params={},
    )

    @service.matrix_event_handler
    async def hear(event: dict) -> None:
        print(json.dumps({"event": event["content"].get("body", event["type"])}), flush=True)

    with service.run("127.0.0.1", int(sys.argv[1])) as server:
        await server
        await asyncio.Event().wait()


asyncio.run(main())
