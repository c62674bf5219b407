"""The tests themselves reach servers on this machine, and nothing else."""

import socket

import pytest


@pytest.mark.parametrize(
    "call",
    [
        lambda: socket.create_connection(("192.0.2.1", 80)),
        lambda: socket.socket().connect(("192.0.2.1", 80)),
        lambda: socket.socket().connect_ex(("192.0.2.1", 80)),
        lambda: socket.getaddrinfo("example.org", 80),
    ],
)
def test_other_machines_are_refused(call):
    """In any way to reach them; this address is for documentation."""
    with pytest.raises(AssertionError) as raised:
        call()
    assert str(raised.value).startswith("a test must not use the network: ")


def test_this_machine_is_not():
    """A test can reach its server."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
