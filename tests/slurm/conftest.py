import socket

import pytest

from support.cluster import Cluster, install


def free_ports(number):
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """SLURM, started on this machine; skips where that cannot be."""
    reason = install()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with Cluster(folder, *free_ports(2)) as cluster:
        yield cluster
