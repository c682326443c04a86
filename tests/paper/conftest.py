from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers


@pytest.fixture(autouse=True)
def hydra_context() -> Iterator[None]:
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        yield
    HydraConfig.instance().cfg = None
