"""Drives matrix-client's API object; run by the interpreter of its own environment.

Usage: URL USER PASSWORD TEXT. Prints one JSON object.
"""

import json
import sys

from matrix_client.api import MatrixHttpApi


def main(url: str, user: str, password: str, text: str) -> dict[str, object]:
    """Logs in, makes a room, speaks and reads."""
    api = MatrixHttpApi(url)
    session = api.login("m.login.password", user=user, password=password)
    api.token = session["access_token"]
    who = api._send("GET", "/account/whoami")
    room = api.create_room(is_public=True)["room_id"]
    api.join_room(room)
    since = api.sync(timeout_ms=0, filter='{"room":{"timeline":{"limit":1}}}')["next_batch"]
    api.send_message(room, text)
    news = api.sync(since=since, timeout_ms=5000)
    events = news["rooms"]["join"][room]["timeline"]["events"]
    history = api.get_room_messages(room, news["next_batch"], "b")["chunk"]
    return {
        "token": api.token,
        "user": who["user_id"],
        "room": room,
        "synced": [event["content"].get("body") for event in events],
        "read": [event["content"].get("body") for event in history],
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
