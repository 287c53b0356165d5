"""The chain under test: client -> (nginx ->) tokenshim -> recorder -> Synapse.

It is started once. After every single test the judge looks at all that left
the shim, so no test can forget to ask.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import auth
import judge
import pytest
import wire
from certificates import Authority, Pair
from edge import NAME, Edges
from guards import Guards
from nginx import Nginx
from origin import Origin
from processes import free_port
from recorder import Recorded, Recorder
from shim import Shim
from synapse import PASSWORD, Synapse
from tools import Files, FileServer


@dataclass
class Chain:
    """What a test works with."""

    folder: Path
    synapse: Synapse
    recorder: Recorder
    shim: Shim
    # Grows with each login; the judge looks for every one of them, for ever.
    tokens: set[str] = field(default_factory=set)
    # Those of them that belong into a body on the way to the homeserver.
    in_bodies: set[str] = field(default_factory=set)
    shims: list[Shim] = field(default_factory=list)
    nginx: Nginx | None = None
    # How far the judge has read each output.
    judged: dict[Path, int] = field(default_factory=dict)

    def secret(self, token: str) -> str:
        """Tells the judge of a token before it is used."""
        self.tokens.add(token)
        return token

    def refresh_token(self, token: str) -> str:
        """The same of one that clients send in a body."""
        self.in_bodies.add(token)
        return self.secret(token)

    def account(self, *, admin: bool = False) -> tuple[str, str]:
        """A fresh account and its token, so that tests cannot disturb each other."""
        name = f"user{secrets.token_hex(4)}"
        return self.synapse.register(name, admin=admin), self.login(name)

    def login(self, name: str) -> str:
        """A token through the shim."""
        content = {"type": "m.login.password", "user": name, "password": PASSWORD}
        answer = wire.send_json(self.shim.port, "POST", "/_matrix/client/v3/login", content)
        assert answer.status == 200, answer.body
        return self.secret(answer.json()["access_token"])

    def room(self, token: str, alias: str | None = None) -> str:
        """A public room, made with the token in the header."""
        content = {"preset": "public_chat"} | ({"room_alias_name": alias} if alias else {})
        answer = wire.send_json(self.shim.port, "POST", "/_matrix/client/v3/createRoom", content, token=token)
        assert answer.status == 200, answer.body
        return str(answer.json()["room_id"])

    def outputs(self) -> list[Path]:
        """Every file in which no token may ever be."""
        files = [file for shim in self.shims for file in shim.outputs()] + [self.synapse.log]
        return [*files, self.nginx.access_log] if self.nginx else files

    def leaks(self, mark: int) -> list[str]:
        """What is wrong with the outputs since the last call, and with the requests since `mark`."""
        found: list[str] = []
        for file in self.outputs():
            content = file.read_bytes() if file.exists() else b""
            fresh = content[self.judged.get(file, 0) :]
            self.judged[file] = len(content)
            found += [f"{file.name}: {finding}" for finding in judge.findings(fresh, self.tokens)]
        for request in self.recorder.since(mark):
            found += self._request_leaks(request)
        faults, self.recorder.faults = self.recorder.faults, []
        return found + faults

    def leaks_of_all_time(self) -> list[str]:
        """Once more from the start: a line may have come late, and bodies count too."""
        self.judged.clear()
        found = self.leaks(0)
        for stream in self.recorder.streams():
            rest = judge.without_bearer(stream.read_bytes())
            in_heads = self.tokens - self.in_bodies
            found += [f"{stream.name}: plain token" for token in in_heads if token.encode() in rest]
        return found

    def _request_leaks(self, request: Recorded) -> list[str]:
        found = judge.findings(judge.without_bearer(request.head), self.tokens)
        if judge.names_token(request.line):
            found.append("the parameter is still in the target")
        return [f"upstream {request.line.split(b' ')[0]!r}: {finding}" for finding in found]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Synapse with two accounts, the recorder, and the shim with its configuration file."""
    folder = tmp_path_factory.mktemp("chain")
    synapse_folder = folder / "synapse"
    synapse_folder.mkdir()
    synapse = Synapse(synapse_folder)
    recorder = Recorder(free_port(), synapse.port, folder)
    shim = Shim.with_file(folder, recorder.port)
    chain = Chain(folder, synapse, recorder, shim, shims=[shim])
    chain.secret(synapse.appservice.as_token)
    chain.secret(synapse.appservice.hs_token)
    synapse.register("alice", admin=True)
    synapse.register("bob")
    yield chain
    statuses = {started.port: started.child.stop() for started in chain.shims}
    recorder.stop()
    synapse.stop()
    assert chain.leaks_of_all_time() == []
    assert set(statuses.values()) == {0}, statuses
    for started in chain.shims:
        assert b"panicked" not in started.child.stderr.read_bytes()


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Judges after every test that used the chain."""
    if "chain" not in request.fixturenames:
        yield
        return
    chain: Chain = request.getfixturevalue("chain")
    mark = chain.recorder.mark()
    yield
    assert chain.leaks(mark) == []


@pytest.fixture(scope="session")
def alice(chain: Chain) -> str:
    """A token of the administrator."""
    return chain.login("alice")


@pytest.fixture(scope="session")
def bob(chain: Chain) -> str:
    """A token of an ordinary account."""
    return chain.login("bob")


@pytest.fixture(scope="session")
def nginx(chain: Chain) -> Iterator[Nginx]:
    """nginx with the published server block, in front of the shim."""
    folder = chain.folder / "nginx"
    folder.mkdir()
    server = Nginx(folder, chain.shim.port)
    chain.nginx = server
    yield server
    server.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the clients of the edge believe."""
    return Authority(tmp_path_factory.mktemp("authority") / "clients")


@pytest.fixture(scope="session")
def pair(authority: Authority) -> Pair:
    """The edge's own certificate."""
    return authority.issue(NAME, "127.0.0.1")


@pytest.fixture(scope="session")
def origin() -> Iterator[Origin]:
    """An upstream that says what it was asked."""
    server = Origin()
    yield server
    server.stop()


@pytest.fixture
def edges(tmp_path: Path) -> Iterator[Edges]:
    """Starts tokenshim as the edge; judges what it wrote."""
    started = Edges(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def guards(chain: Chain) -> Iterator[Guards]:
    """Starts tokenshim with a `[verify]` of the test's own."""
    started = Guards(chain)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def file_server(chain: Chain) -> Iterator[Files]:
    """One for all tests, with a recorder before it."""
    folder = chain.folder / "files"
    server = FileServer(folder)
    recorder = Recorder(free_port(), server.port, folder)
    yield Files(server, recorder)
    recorder.stop()
    server.stop()


@pytest.fixture
def files(chain: Chain, file_server: Files) -> Iterator[Files]:
    """The tool logs whole targets: none may have had a token."""
    mark = file_server.recorder.mark()
    yield file_server
    log = file_server.server.log.read_bytes()
    assert judge.findings(log[file_server.judged :], chain.tokens) == []
    file_server.judged = len(log)
    for request in file_server.recorder.since(mark):
        assert not judge.names_token(request.line)


@pytest.fixture
def afterwards() -> Iterator[ExitStack]:
    """What has to be done however the test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def knowing(edges: Edges) -> Iterator[tuple[str, auth.Whoami]]:
    """A token, and a homeserver that knows it."""
    token = edges.secret()
    whoami = auth.Whoami(token)
    yield token, whoami
    whoami.stop()
