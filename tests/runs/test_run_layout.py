"""Where the files of a run lie."""

from pathlib import Path

import pytest

from gat_lightning.runs.layout import RunDirectory


@pytest.mark.parametrize("name", ["best", "last", "ema"])
def test_a_checkpoint_leads_back_to_its_run(name):
    run = RunDirectory("outputs/quickstart-0123abcd")
    checkpoint = run.checkpoint(name)
    assert checkpoint == Path(f"outputs/quickstart-0123abcd/checkpoints/{name}.ckpt")
    assert RunDirectory.of_checkpoint(checkpoint).path == run.path
    assert RunDirectory.of_checkpoint(str(checkpoint)).path == run.path


@pytest.mark.parametrize("path", ["", "best.ckpt", "outputs/x/export/best.safetensors", "/best.ckpt"])
def test_other_files_belong_to_no_run(path):
    assert RunDirectory.of_checkpoint(path) is None


@pytest.mark.parametrize(
    ("content", "finished"),
    [(None, False), ('{"status": "failed"}', False), ('{"status": "finished"}', True), ("{}", False)],
)
def test_a_run_is_finished_when_its_result_says_so(tmp_path, content, finished):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    assert RunDirectory(tmp_path).is_finished is finished


def test_history_is_read_from_metrics_csv(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.history() == []
    run.metrics.write_text("epoch,step,lr\n0,10,0.5\n0,20,\n")
    assert run.history() == [{"epoch": "0", "step": "10", "lr": "0.5"}, {"epoch": "0", "step": "20", "lr": ""}]
