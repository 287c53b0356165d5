"""Stands where Synapse would: 127.0.0.1:8008, `{}` to every GET.

Prints a line of JSON for each request: its target, and its fields in lower case.
"""

import http.server
import json


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes; without this the second waits 40 ms for an ACK.
    disable_nagle_algorithm = True

    def do_GET(self):
        fields = {name.lower(): value for name, value in self.headers.items()}
        print(json.dumps({"target": self.path} | fields), flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 8008), Upstream).serve_forever()
