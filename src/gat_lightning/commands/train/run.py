"""Train a model: ``python -m gat_lightning.train [GROUP=OPTION ...] [KEY=VALUE ...]``."""

from __future__ import annotations

import errno
import logging
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from gat_lightning.attacks.problem import BinaryProblem, ClassifierProblem
from gat_lightning.batch import has_label
from gat_lightning.commands.dry_run import estimate
from gat_lightning.commands.train.memory_faults import advice, is_out_of_memory
from gat_lightning.commands.train.selection import warn_of_selection
from gat_lightning.config.build import build_data, build_module, build_trainer
from gat_lightning.config.check import without_effect
from gat_lightning.config.checkpoint import check_fits, find_resumable, initialise, last_good
from gat_lightning.config.files import plain
from gat_lightning.config.paper import prepare_paper
from gat_lightning.config.pretraining import pretrained
from gat_lightning.config.resuming import announce, progress_of
from gat_lightning.data import ImageDataModule
from gat_lightning.distributed import is_lost_process, loss_of_process
from gat_lightning.errors import NonFiniteError, UserError
from gat_lightning.figures.gallery import adversarial_gallery
from gat_lightning.loggers import close, start
from gat_lightning.runs.directory import is_finished, typed_overrides
from gat_lightning.runs.environment import environment
from gat_lightning.runs.lock import only_run_in
from gat_lightning.runs.metric_names import target_scores
from gat_lightning.runs.metrics_csv import FILE as METRICS
from gat_lightning.runs.result import TrainingResult, read_result, write_result
from gat_lightning.runs.signals import stopping_at_once, was_requeued
from gat_lightning.training.module import GATModule

log = logging.getLogger(__name__)


def run(config: DictConfig) -> dict[str, Any]:
    """Train, test the best and the last checkpoint, and write ``result.json`` into ``config.paths.run``.

    Returns:
        What ``result.json`` holds.
    """
    prepare_paper(config)
    if config.paper.dry_run:
        return estimate(config)
    if config.skip_finished and is_finished(Path(config.paths.run)):
        print(f"Skipped, since it is finished: {config.paths.run}", flush=True)
        return vars(read_result(Path(config.paths.run)))
    with only_run_in(Path(config.paths.run)), stopping_at_once():
        return _run(config)


def _run(config: DictConfig) -> dict[str, Any]:
    started, clock = datetime.now(timezone.utc), time.perf_counter()
    directory = Path(config.paths.run)
    last = directory / "checkpoints" / "last.ckpt"
    init = pretrained(config, run)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    module = build_module(config, data.info)
    resumed = find_resumable("auto" if was_requeued() and last.is_file() else config.resume, directory)
    if resumed is not None:
        check_fits(module.model, config, resumed)
    elif init is not None:
        taken = initialise(module.model, init)
        log.info("Encoder from %s, and the decoders of: %s", init, ", ".join(taken) or "none")
    trainer = build_trainer(config)
    rank_zero_only(data.prepare_data)()
    if (message := without_effect(config, typed_overrides())) and trainer.is_global_zero:
        log.warning(message)
    progress = None if resumed is None else progress_of(resumed)
    announce(config, progress)  # only now: a command refused before leaves no directory if nothing was logged
    result: dict[str, Any] = {
        "status": "failed",
        "config": plain(config),
        "seed": config.seed,
        "started": started.isoformat(timespec="seconds"),
        "durations": {},
        "files": {"metrics": METRICS},
        "metrics": {},
        "resumed": None if resumed is None else str(resumed),
        **environment(trainer.strategy.root_device),
    }
    try:
        start(trainer.loggers, config, None if progress is None else progress.step)
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
        result["durations"]["train"] = time.perf_counter() - clock
        if trainer.is_global_zero:
            warn_of_selection(module, data, directory)
        result["metrics"] = test(trainer, module, data, directory / "checkpoints")
        result["images"] = count_test_images(trainer, data)
        result["files"] |= {
            "checkpoints": {name: f"checkpoints/{name}.ckpt" for name in result["metrics"]},
            "images": [],
        }
        if trainer.is_global_zero and write_images(module, data, directory / "images"):
            result["files"]["images"] = ["images/adversarial.png"]
        if profiles := profile_files(directory):
            result["files"]["profiles"] = profiles
        result["status"] = "finished"
    except (KeyboardInterrupt, SystemExit):  # which Lightning makes of Ctrl-C, and we of a signal to stop
        result["status"] = "interrupted"
        if last.exists() and trainer.is_global_zero:
            log.warning("Interrupted; the same command with resume=auto goes on from %s.", last)
        raise
    except NonFiniteError as error:
        raise NonFiniteError(f"{error} Last good checkpoint: {last_good(last) or 'none yet'}.") from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"There is no room left for '{directory}'. Make some, then go on with resume=auto.") from error
    except (MemoryError, RuntimeError) as error:
        if is_lost_process(error):
            raise UserError(loss_of_process(error)) from error
        if not is_out_of_memory(error):
            raise
        device = trainer.strategy.root_device
        raise UserError(advice(device, config.data.batch_size, config.engine.micro_batch)) from error
    finally:
        result["durations"]["total"] = time.perf_counter() - clock
        result["epochs"] = trainer.current_epoch
        result["skipped_batches"] = module.skipped
        try:
            if trainer.is_global_zero:
                write_result(directory, TrainingResult(**result))
        finally:
            close(trainer.loggers, result["status"], result["metrics"])
    if result["metrics"] and trainer.is_global_zero:
        print_metrics(result["metrics"], directory)
        for name in result["files"].get("profiles", ()):
            Console().print(f"Profile: {directory / name}", soft_wrap=True)
    return result


def test(
    trainer: pl.Trainer, module: GATModule, data: ImageDataModule, checkpoints: Path
) -> dict[str, dict[str, float]]:
    """Clean and robust test metrics of every checkpoint there is; the module keeps the best one's weights."""
    names = [name for name in ("best", "last", "ema", "swa") if (checkpoints / f"{name}.ckpt").is_file()]
    metrics = {}
    for name in reversed(names):
        checkpoint = torch.load(checkpoints / f"{name}.ckpt", map_location=module.device, weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        scores = trainer.test(module, datamodule=data, verbose=False)[0]
        metrics[name] = {"epoch": int(checkpoint["epoch"]) + 1, **scores}
    return {name: metrics[name] for name in names}


def count_test_images(trainer: pl.Trainer, data: ImageDataModule) -> int:
    """How many images the test scores are over: those of the split's tested batches that have the target's label."""
    data.setup("test")
    split = data.split("test")
    tested = min(len(split), int(sum(trainer.num_test_batches)) * data.batch_size)
    return int(has_label(split.labels[data.target][:tested]).sum()) if data.target in split.labels else tested


def write_images(module: GATModule, data: ImageDataModule, directory: Path) -> bool:
    """``adversarial.png``: the first test images under the test attack; says whether there was anything to draw."""
    directory.mkdir(exist_ok=True)
    data.setup("test")
    attack = next(iter(module.attacks["test"].values()))
    batch = next(iter(data.test_dataloader())).to(module.device)
    target = module.tasks[0]
    if target.kind == "regression" or target.transforms:
        return False
    label = batch.labels[target.name]
    shown = has_label(label).nonzero().flatten()[:8]
    if len(shown) == 0:
        return False
    adversarial_gallery(
        {"this model": module.model.single_task().eval()},
        batch.images[shown],
        label[shown],
        data.info.labels[target.name].classes,
        attack,
        directory / "adversarial.png",
        BinaryProblem if target.kind == "binary" else ClassifierProblem,
    )
    return True


def profile_files(directory: Path) -> list[str]:
    """Names of what ``debug=profile`` has measured, training first."""
    return sorted(path.name for path in directory.glob("*-profile*.txt"))


def print_metrics(metrics: dict[str, dict[str, float]], directory: Path) -> None:
    """The table at the end of a run, with how much was lost between the best and the last checkpoint."""
    names = target_scores(next(iter(metrics.values()), ()), "test")
    table = Table("checkpoint", "epoch", *(name.shown for name in names), title="Test images")
    for checkpoint, scores in metrics.items():
        table.add_row(checkpoint, str(scores["epoch"]), *(name.text(scores[str(name)]) for name in names))
    if "best" in metrics and "last" in metrics:
        gaps = {name: metrics["best"][str(name)] - metrics["last"][str(name)] for name in names}
        table.add_row("best - last", "", *(name.text(gap) for name, gap in gaps.items()))
    console = Console()
    console.print(table)
    console.print(f"Run directory: {directory}", soft_wrap=True)
