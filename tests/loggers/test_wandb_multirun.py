"""A sweep from the command line with W&B offline, and what its files hold, read back."""

import json

import pytest

from support.commands import command
from support.training_runs import rows
from support.wandb_file import WandbFile

pytestmark = pytest.mark.slow

SECRET = "s3cr3t-9876543210"
SMALL = ["trainer.accelerator=cpu", "trainer.max_epochs=2", "trainer.log_every_n_steps=1", "data.fraction=0.1",
         "encoder.width=4", "attack.steps=2"]  # fmt: skip
KEY = "0123456789abcdef0123456789abcdef01234567"


def test_three_runs_of_a_sweep_stay_apart_and_tell_no_secret(tmp_path):
    home = tmp_path / "home" / "adaquirk"
    home.mkdir(parents=True)
    done = command(
        "-m", "experiment=quickstart", *SMALL, "logger=wandb", "callbacks.pictures.every_n_epochs=1", f"+note={SECRET}",
        "task=macro,macro+rotation,none", "seed=3", "weighting=mgda", cwd=home, HOME=str(home), LOGNAME="adaquirk",
        NETRC=str(home / "netrc"), WANDB_MODE="offline", WANDB_API_KEY=KEY, SERVICE_TOKEN=SECRET,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    directories = sorted(path.parent for path in home.glob("outputs/*/result.json"))
    files = {directory: WandbFile(directory) for directory in directories}
    assert len({file.run.run_id for file in files.values()}) == 3
    assert len({file.run.run_group for file in files.values()}) == 3
    for directory, file in files.items():
        result = json.loads((directory / "result.json").read_text())
        tasks = "+".join(result["config"]["task"]) or "none"
        assert file.run.display_name == directory.name
        words = set(file.run.run_group.split())
        assert {"+note=<hidden>", "attack.steps=2"} <= words
        assert not any(word.startswith("seed") for word in words)
        assert {f"task={tasks}", "seed=3", "data=digits"} <= set(file.run.tags)
        assert file.config["seed"] == 3
        logged = rows(directory)
        assert [row for row in logged if not file.has(row)] == []
        for name, value in result["metrics"]["best"].items():
            assert file.summary[f"best/{name}"] == value
        (robust,) = (name for name in logged[0] if name.startswith("val/pgd"))
        assert file.summary[robust] == {"max": max(float(row[robust]) for row in logged if row[robust])}
        pictures = {key.removesuffix(".path") for row in file.history for key in row if key.endswith(".path")}
        assert pictures == {"adversarial", "examples", "gramian", "weights", "front"}
        assert all((file.files / path).stat().st_size > 1000 for path in file.media)
        assert file.exit_code == 0
        kept = [path for path in (directory / "wandb").rglob("*") if path.is_file()]
        sent = [path for path in kept if "logs" not in path.parts]  # W&B's own logs stay on the machine
        assert file.path in sent
        for paths, secrets in ((kept, (SECRET, KEY)), (sent, (str(home), str(tmp_path), "adaquirk"))):
            content = b"".join(path.read_bytes() for path in paths)
            for secret in secrets:
                assert secret.encode() not in content, secret
