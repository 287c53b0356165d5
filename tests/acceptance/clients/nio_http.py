"""Drives matrix-nio's HttpClient, which builds HTTP/1.1 bytes and leaves the socket to us.

Usage: URL USER PASSWORD TEXT. Prints one JSON object.
"""

import json
import socket
import sys
from urllib.parse import urlsplit

from nio import HttpClient, RoomVisibility, TransportType


class Session:
    """One client on one connection."""

    def __init__(self, url: str, user: str) -> None:
        place = urlsplit(url)
        self.client = HttpClient(url, user)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=60)
        self.socket.sendall(self.client.connect(TransportType.HTTP))

    def ask(self, request: tuple) -> object:
        """Sends what the client built and waits for what it makes of the answer."""
        self.socket.sendall(request[1])
        while True:
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("closed while an answer was due")
            self.client.receive(received)
            if response := self.client.next_response():
                return response


def main(url: str, user: str, password: str, text: str) -> dict[str, object]:
    """Logs in, makes a room, speaks and reads."""
    session = Session(url, user)
    client = session.client
    session.ask(client.login(password))
    room = session.ask(client.room_create(visibility=RoomVisibility.public)).room_id
    session.ask(client.join(room))
    since = session.ask(client.sync(timeout=0)).next_batch
    session.ask(client.room_send(room, "m.room.message", {"msgtype": "m.text", "body": text}))
    client.next_batch = since
    news = session.ask(client.sync(timeout=5000))
    history = session.ask(client.room_messages(room, news.next_batch))
    return {
        "token": client.access_token,
        # Only AsyncClient has a whoami; the login's answer has to do.
        "user": client.user_id,
        "room": room,
        "synced": [event.source["content"].get("body") for event in news.rooms.join[room].timeline.events],
        "read": [event.source["content"].get("body") for event in history.chunk],
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
