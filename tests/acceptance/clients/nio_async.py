"""Drives matrix-nio's AsyncClient; run by the interpreter of its own environment.

Usage: URL USER PASSWORD TEXT. Prints one JSON object.
"""

import asyncio
import json
import sys

from nio import AsyncClient, RoomVisibility


async def main(url: str, user: str, password: str, text: str) -> dict[str, object]:
    """Logs in, makes a room, speaks and reads."""
    client = AsyncClient(url, user)
    try:
        await client.login(password)
        who = await client.whoami()
        room = (await client.room_create(visibility=RoomVisibility.public)).room_id
        await client.join(room)
        since = (await client.sync(timeout=0)).next_batch
        await client.room_send(room, "m.room.message", {"msgtype": "m.text", "body": text})
        news = await client.sync(timeout=5000, since=since)
        history = await client.room_messages(room, news.next_batch, limit=10)
        return {
            "token": client.access_token,
            "user": who.user_id,
            "room": room,
            "synced": bodies(news.rooms.join[room].timeline.events),
            "read": bodies(history.chunk),
        }
    finally:
        await client.close()


def bodies(events: list) -> list[object]:
    """The texts among some events."""
    return [event.source["content"].get("body") for event in events]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
