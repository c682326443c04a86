import pytest

from support.cluster import started_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """SLURM, started on this machine; skips where that cannot be."""
    with started_cluster(tmp_path_factory.mktemp("slurm"), pytest.skip) as cluster:
        yield cluster
