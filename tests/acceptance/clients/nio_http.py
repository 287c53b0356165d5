"""Drives matrix-nio's HttpClient, which builds bytes and leaves the socket to us.

HTTP/1.1 for an http URL; HTTP/2 over TLS for an https URL, of a server on loopback.
Usage: URL USER PASSWORD TEXT. Prints one JSON object.
"""

import json
import socket
import ssl
import sys
from urllib.parse import urlsplit

from nio import HttpClient, RoomVisibility, TransportType


class Session:
    """One client on one connection."""

    def __init__(self, url: str, user: str) -> None:
        place = urlsplit(url)
        self.client = HttpClient(url, user)
        transport = TransportType.HTTP2 if place.scheme == "https" else TransportType.HTTP
        self.socket = socket.create_connection(("127.0.0.1", place.port), timeout=60)
        if transport == TransportType.HTTP2:
            # Believes whom SSL_CERT_FILE names.
            tls = ssl.create_default_context()
            tls.set_alpn_protocols(["h2"])
            self.socket = tls.wrap_socket(self.socket, server_hostname=place.hostname)
        self.socket.sendall(self.client.connect(transport))

    def ask(self, request: tuple) -> object:
        """Sends what the client built and waits for what it makes of the answer."""
        self.socket.sendall(request[1])
        while True:
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("closed while an answer was due")
            self.client.receive(received)
            # Acknowledgements and windows, which only HTTP/2 has.
            self.socket.sendall(self.client.data_to_send())
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
