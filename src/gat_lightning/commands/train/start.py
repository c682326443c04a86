"""What a training begins with, looked at before the stages that come first."""

from pathlib import Path

from omegaconf import DictConfig

from gat_lightning.config.build import build_data, build_model, build_tasks
from gat_lightning.config.held_out import check_held_out
from gat_lightning.config.resuming import check_fits, find_resumable, initialise, wanted_resume


def check_start(config: DictConfig) -> None:
    """See that a training can begin with what ``resume`` or ``init`` names, so that no stage runs in vain.

    The data are described, not read.

    Raises:
        UserError: the checkpoint cannot be read, is of another model or another kind of training, or has seen
            validation or test patients.
    """
    resumed = find_resumable(wanted_resume(config), Path(config.paths.run))
    start = resumed or config.init
    if start is None:
        return
    data = build_data(config)
    check_held_out(start, data.patient_split, ["val", "test"])
    model = build_model(config, data.info, build_tasks(config, data.info))
    if resumed is not None:
        check_fits(model, config, resumed)
    else:
        initialise(model, start)
