"""Addresses as people write them: `host:port`, `[::1]:7400`."""

import ipaddress
from typing import NamedTuple

from libelli.core.errors import ConfigurationError

PORT_MAX = 65_535


class Address(NamedTuple):
    """A host (name or IP address, without brackets) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; a name is trusted only when it is `localhost`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str, *, what: str = "address") -> Address:
    """Returns the address that `text` names.

    Args:
        text: `host:port`.
        what: is addressed, for errors.

    Raises:
        ConfigurationError: it cannot be read.
    """
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    number = int(port) if port.isascii() and port.isdigit() else -1
    if not separator or not host or (":" in host) != bracketed or not 0 <= number <= PORT_MAX:
        raise ConfigurationError(
            f"{what} {text!r} is not HOST:PORT: write it like 10.0.0.7:7400, [::1]:7400 or n1.example.org:7400"
        )
    return Address(host, number)
