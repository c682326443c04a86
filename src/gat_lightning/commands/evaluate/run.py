"""Evaluate a model: ``python -m gat_lightning.evaluate checkpoint=PATH evaluation=NAME [KEY=VALUE ...]``."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gat_lightning.attacks import Attack, ExternalAttack, parse_budget
from gat_lightning.commands.evaluate.adversarial_files import write_adversarial
from gat_lightning.commands.evaluate.attack_records import record_attacks
from gat_lightning.commands.evaluate.display import bar
from gat_lightning.commands.evaluate.engine import set_engine
from gat_lightning.commands.evaluate.images import chosen_images
from gat_lightning.commands.evaluate.loggers import build_loggers, log_evaluation
from gat_lightning.commands.evaluate.record import record_scores, recorded
from gat_lightning.commands.evaluate.settings import check_evaluation
from gat_lightning.commands.evaluate.subject import Subject, load_subject
from gat_lightning.commands.evaluate.supplements import Supplementary, check_supplements, load_surrogates
from gat_lightning.config.attack_strength import check_radius_above_zero, long_steps
from gat_lightning.config.build import build_attack, check_attack
from gat_lightning.config.evaluation import data_settings
from gat_lightning.config.files import plain
from gat_lightning.config.held_out import check_held_out
from gat_lightning.config.naming import naming
from gat_lightning.config.radius_checks import untyped_radii
from gat_lightning.errors import UserError
from gat_lightning.evaluation.curve import CurvePoint, curve_point
from gat_lightning.evaluation.doubts import random_outputs
from gat_lightning.evaluation.journal import Journal
from gat_lightning.evaluation.predictions import Predictions, score
from gat_lightning.evaluation.robustness import Evaluation, evaluate_robustness, fingerprint
from gat_lightning.evaluation.target import Target
from gat_lightning.gradients.tf32 import tf32
from gat_lightning.runs.directory import stays, why_finished_stays
from gat_lightning.runs.environment import environment
from gat_lightning.runs.evaluations import evaluation_name
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.lock import only_run_in
from gat_lightning.runs.result import EvaluationResult, Result, read_result
from gat_lightning.runs.signals import stopping_at_once
from gat_lightning.runs.slurm import requeued_if_preempted
from gat_lightning.tasks import attacked_tasks

log = logging.getLogger(__name__)


def run(config: DictConfig) -> Result:
    """Evaluate, and write ``predictions.npz`` and ``result.json`` into ``config.paths.run``.

    Returns:
        The content of ``result.json``, of a finished evaluation that stays as it is too.

    Raises:
        Stopped: a signal to stop; what is done so far is kept, for the same command to go on with.
    """
    directory = RunDirectory(config.paths.run)
    if stays(config, directory):
        print(f"{why_finished_stays(config)}: {directory.path}", flush=True)
        return read_result(directory.path)
    with requeued_if_preempted():
        return _evaluate(config)


def _evaluate(config: DictConfig) -> EvaluationResult:
    started, clock = datetime.now(timezone.utc), time.perf_counter()
    directory = Path(config.paths.run)
    check_evaluation(config)
    loggers = build_loggers(config)
    attacks = build_attacks(config)
    curve = build_curve(config, attacks)
    subject = load_subject(config)
    device = find_device(config.device)
    target = build_target(config, subject, device)
    nodes = [(f"evaluation.{view}.attack", attack) for view, attack in attacks.items()]
    check_radius_above_zero(config, nodes)
    nodes += [("curve.attack", point.attack) for point in curve]
    for path, attack in nodes:
        check_attack(config, path, attack, target.attacked or [target.task], subject.data.info)
    attacks, notes = defined(target, attacks)
    surrogates = load_surrogates(surrogate_paths(config), target, subject.data.info)
    for path in surrogate_paths(config):
        check_held_out(path, subject.data.patient_split, [config.split])
    check_supplements(config, subject, attacks)
    data = data_settings(config) or OmegaConf.create()
    for message in untyped_radii(config, data.get("eps")):
        log.info(message)
    for message in long_steps(config, nodes):
        log.warning(message)
    result = EvaluationResult(
        config={**plain(config), "data": plain(data)},
        trained=subject.trained,
        seed=config.seed,
        started=started.isoformat(timespec="seconds"),
        notes=notes,
        **environment(device),
    )
    with only_run_in(directory), stopping_at_once(), recorded(result, directory, clock), tf32(False):
        predictions = predict(config, subject, target, attacks, curve, directory, result)
        result.files["predictions"] = RunDirectory(directory).predictions.name
        scores = score(predictions, config.split, config.seed)
        record_scores(result, subject, predictions, scores)
        views = attacks | {point.view: point.attack for point in curve}
        records = record_attacks(result, subject, predictions, views, directory)
        more = Supplementary(
            subject, target, predictions, config.split, config.subset, config.batch_size, config.seed, directory, result
        )
        notes += supplement(config, more, attacks, curve, surrogates)
        log_evaluation(loggers, config, result)
    for note in notes:
        log.warning(note)
    title = f"{evaluation_name(config)}, {result.images} {config.split} images of {subject.data.info.name}"
    records.show(scores, title, more.shown, directory)
    return result


def build_attacks(config: DictConfig) -> dict[str, Attack]:
    """The attacks of the evaluation, by view."""
    views = map(str, config.get("evaluation") or ())
    return {view: build_attack(config, f"evaluation.{view}.attack") for view in views}


def build_curve(config: DictConfig, attacks: Mapping[str, Attack]) -> list[CurvePoint]:
    """The points of the curve, one for each radius of ``curve.eps``.

    Args:
        config: the whole configuration.
        attacks: of the evaluation, by view.
    """
    target, points = config.curve.attack._target_, []
    for eps in {parse_budget(eps, "eps"): eps for eps in config.curve.eps}.values():
        evaluated = {
            view: build_attack(config, f"evaluation.{view}.attack", eps=eps)
            if config.evaluation[view].attack._target_ == target
            else attack
            for view, attack in attacks.items()
        }
        points.append(curve_point(build_attack(config, "curve.attack", eps=eps), evaluated))
    return points


def build_target(config: DictConfig, subject: Subject, device: torch.device) -> Target:
    """The subject in fp32 on the device, under attack through the tasks of ``attack.tasks``."""
    multitask = None if config.attack.tasks == "target" else subject.multitask
    with naming(config, "attack"):
        attacked = attacked_tasks(subject.tasks, config.attack.tasks)
    return Target(
        subject.model.float().to(device),
        subject.tasks[0],
        None if multitask is None else multitask.float().to(device),
        attacked,
    )


def defined(target: Target, attacks: Mapping[str, Attack]) -> tuple[dict[str, Attack], list[str]]:
    """The attacks that make sense for the target, and a note about each other one and each with a doubtful AUROC."""
    reasons = {view: target.why_not(attack) for view, attack in attacks.items()}
    notes = [f"{view} was left out: {reason}." for view, reason in reasons.items() if reason is not None]
    chosen = {view: attack for view, attack in attacks.items() if reasons[view] is None}
    notes += [
        f"{view} stops at the decision boundary, a logit of 0, so AUROC under it is an upper bound. pgd and autoattack"
        " move the logit as far as they can."
        for view, attack in chosen.items()
        if target.task.kind == "binary" and isinstance(attack, ExternalAttack) and attack.stops_at_boundary
    ]
    return chosen, notes


def predict(
    config: DictConfig,
    subject: Subject,
    target: Target,
    attacks: Mapping[str, Attack],
    curve: Sequence[CurvePoint],
    directory: Path,
    result: EvaluationResult,
) -> Predictions:
    """Every view, beginning where an earlier try of the same evaluation stopped; ``result`` is told the engine."""
    subject.data.prepare_data()
    subject.data.setup("test")
    split = subject.data.split(config.split)
    images = chosen_images(config.images, subject.data, config.split, target.task.name)
    used = [*attacks.values(), *(point.attack for point in curve)]
    engine = set_engine(config, target, subject.data.info.image, len(split if images is None else images), used)
    result.engine = engine.plain()
    described = {view: sorted(vars(attack).items(), key=str) for view, attack in attacks.items()}
    positions = None if images is None else images.tolist()
    computed = (engine.compiled, engine.channels_last, config.save_adversarial)
    mark = fingerprint(target.model, described, config.split, positions, config.batch_size, config.seed, computed)
    journal = Journal(RunDirectory(directory).progress, mark, resume=config.resume == "auto")
    evaluation = Evaluation(
        target,
        split,
        config.split,
        batch_size=config.batch_size,
        images=images,
        groups=subject.data.groups(config.split),
        seed=config.seed,
        journal=journal,
        track=bar,
        keeps_images=attacks if config.save_adversarial else (),
    )
    if target.draws_random_numbers(evaluation.clean(slice(0, 8))[0]) and (doubt := random_outputs(attacks)):
        result.notes.append(f"{doubt[0].upper()}{doubt[1:]}.")
    predictions = evaluate_robustness(evaluation, attacks, curve)
    run_directory = RunDirectory(directory)
    if config.save_adversarial:
        write_adversarial(evaluation, target, predictions, attacks, run_directory, config.batch_size, result)
    predictions.save(run_directory.predictions)
    journal.close()
    return predictions


def supplement(
    config: DictConfig,
    more: Supplementary,
    attacks: Mapping[str, Attack],
    curve: Sequence[CurvePoint],
    surrogates: Mapping[str, nn.Module],
) -> list[str]:
    """What was asked for besides the robustness, and a note about what could not be had on these images."""
    eps = parse_budget(config.attack.eps, "eps")
    first = next(iter(attacks.values()), build_attack(config, "curve.attack"))
    steps: dict[str, Callable[[], None]] = {}
    if config.audit:
        steps["audit"] = partial(more.audit, eps, config.attack.norm, surrogates)
    if surrogates:
        steps["surrogate"] = partial(more.transfer, first, surrogates)
    if config.vulnerability:
        steps["vulnerability"] = partial(more.vulnerability, attacks)
    if config.pictures:
        steps["pictures"] = partial(more.draw, attacks, curve, eps)
    notes = []
    for name, step in steps.items():
        try:
            step()
        except UserError as error:
            notes.append(f"{name} was left out: {error}.")
    return notes


def surrogate_paths(config: DictConfig) -> list[str]:
    """One path, several, or none."""
    given = config.surrogate
    return [] if given is None else [given] if isinstance(given, str) else list(given)


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
