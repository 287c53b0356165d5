"""Certificates made for one run, by the OpenSSL command line."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """\
[ca]
default_ca = own
[own]
new_certs_dir = {folder}
database = {folder}/database
rand_serial = yes
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_days = 1
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
"""
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
# Long ago, for a certificate that is good but for its date.
PAST = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    chain: Path
    key: Path

    @property
    def toml(self) -> str:
        """The table of a configuration file."""
        return f'[[certificate]]\nchain = "{self.chain}"\nkey = "{self.key}"\n'


class Authority:
    """Somebody whom one side believes, and nobody else in the world."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._made = 0
        self.file = folder / "ca.pem"
        self._configuration = folder / "openssl.cnf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder))
        (folder / "database").touch()
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
        command = ["req", "-x509", "-days", "2", "-subj", f"/CN=test authority {folder.name}", *KEY]
        self._openssl([*command, *added(extensions), "-keyout", folder / "ca.key", "-out", self.file])

    def issue(self, *names: str, expired: bool = False, client: bool = False) -> Pair:
        """A certificate for host names and addresses, the first of them its common name."""
        self._made += 1
        base = self._folder / f"leaf-{self._made}"
        pair = Pair(base.with_suffix(".pem"), base.with_suffix(".key"))
        alternatives = ",".join(("IP:" if name[0].isdigit() else "DNS:") + name for name in names)
        extensions = ["basicConstraints=critical,CA:FALSE", f"subjectAltName={alternatives}"]
        extensions.append(f"extendedKeyUsage={'clientAuth' if client else 'serverAuth'}")
        asked = base.with_suffix(".csr")
        command = ["req", "-new", "-subj", f"/CN={names[0]}", *KEY, *added(extensions)]
        self._openssl([*command, "-keyout", pair.key, "-out", asked])
        dates = PAST if expired else []
        self._openssl(["ca", "-batch", "-notext", *dates, "-in", asked, "-out", pair.chain])
        return pair

    def _openssl(self, arguments: list[str | Path]) -> None:
        command = ["openssl", arguments[0], "-config", self._configuration, *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def added(extensions: list[str]) -> list[str]:
    """The options that ask for these extensions."""
    return [word for extension in extensions for word in ("-addext", extension)]
