"""The W&B sweep of docs/wandb.md, with an imitated agent."""

import json

import pytest
import wandb
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from support.commands import command
from support.documents import REPOSITORY, examples_of
from support.training_runs import SHORT, TINY
from support.wandb_file import WandbFile, paths_of
from support.wandb_parts import part
from support.wandb_server import wandb_server

KEY = "0123456789abcdef0123456789abcdef01234567"
PAGE = REPOSITORY / "docs" / "wandb.md"
CHOSEN = {"task": "macro+rotation", "optimizer.lr": 0.05, "seed": 1}


def sweep():
    (text,) = (text for text in examples_of(PAGE, "yaml") if "args_no_hyphens" in text)
    return yaml.safe_load(text)


def words(chosen):
    """The command of the sweep as an agent makes it, from ``-m`` on."""
    given = {name: {"value": value} for name, value in chosen.items()}
    made = create_sweep_command_args({"args": given}) | {
        "env": ["env"],
        "interpreter": ["python"],
        "program": [sweep()["program"]],
    }
    found = [made[word[2:-1]] if word.startswith("${") else [word] for word in create_sweep_command(sweep()["command"])]
    command = [word for each in found for word in each]
    assert command[:3] == ["env", "python", "-m"]
    return command[3:]


def agents_run(home, run_id, chosen, **environment):
    """What an agent does: it writes the parameters to a file, sets the environment and runs the command."""
    parameters = home / "wandb" / "sweep-abc123" / f"config-{run_id}.yaml"
    parameters.parent.mkdir(parents=True, exist_ok=True)
    content = {"wandb_version": 1, **{name: {"value": value} for name, value in chosen.items()}}
    parameters.write_text(yaml.safe_dump(content))
    module, *overrides = words(chosen)
    return command(
        *overrides, *TINY, *SHORT, cwd=home, module=module, HOME=str(home), WANDB_SWEEP_ID="abc123",
        WANDB_RUN_ID=run_id, WANDB_PROJECT="hips", WANDB_ENTITY="team", WANDB_SWEEP_PARAM_PATH=str(parameters),
        WANDB_DIR=str(home), **environment,
    )  # fmt: skip


def test_the_sweep_of_the_documentation_is_complete():
    assert {"program", "command", "method", "metric", "parameters", "project"} <= sweep().keys()
    module, *overrides = words(CHOSEN)
    assert module == "gat_lightning.train"
    assert "logger=wandb" in overrides
    assert set(CHOSEN) == sweep()["parameters"].keys()
    assert {f"{name}={value}" for name, value in CHOSEN.items()} <= set(overrides)


@pytest.mark.slow
@pytest.mark.parametrize("online", [False, True])
def test_an_agents_run_is_the_run_that_the_agent_waits_for(tmp_path, online):
    with wandb_server() as server:
        where = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url} if online else {"WANDB_MODE": "offline"}
        done = agents_run(tmp_path, "agents-run", CHOSEN, **where)
        assert done.returncode == 0, done.stderr
        assert "Ignoring" not in done.stdout + done.stderr
        (directory,) = (path.parent for path in tmp_path.glob("outputs/*/result.json"))
        result = json.loads((directory / "result.json").read_text())
        assert (result["config"]["seed"], result["config"]["optimizer"]["lr"]) == (1, 0.05)
        assert (directory / "wandb_id.txt").read_text() == "agents-run\n"
        if online:
            (run,) = server.runs.values()
            name, project, sweep_id = run.name, run.project, run.fields["sweep"]
        else:
            run = WandbFile(directory)
            name, project, sweep_id = run.run.run_id, run.run.project, run.run.sweep_id
    config, summary = run.config, run.summary
    assert (name, project, sweep_id) == ("agents-run", "hips", "abc123")
    assert {key: config[key] for key in CHOSEN} == CHOSEN
    assert config["choices"]["task"] == "macro+rotation"
    assert sweep()["metric"]["name"].removesuffix(".max") in summary
    for name, value in result["metrics"]["best"].items():
        assert summary[f"best/{name}"] == value


def test_a_run_that_another_agent_resumes_is_whole_in_its_run(tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_RUN_ID", "first")
    part(run, None, {10: 0.3, 20: 0.2})
    wandb.teardown()  # an agent starts another process, which reads its environment
    monkeypatch.setenv("WANDB_RUN_ID", "second")
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc123")
    part(run, 20, {30: 0.1}, "finished")
    wandb.teardown()
    first, second = map(WandbFile.at, paths_of(run))
    assert (first.run.run_id, second.run.run_id) == ("first", "second")
    assert [row["trainer/global_step"] for row in second.history] == [10, 20, 30]
    assert second.summary["val/pgd2/accuracy"] == {"max": 0.3}
    assert (run / "wandb_id.txt").read_text() == "second\n"
