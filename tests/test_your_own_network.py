"""docs/your_own_network.md: its script trains, resumes, is evaluated, exported and compared."""

import json
import os
import re

from helpers import ROOT, read_scalars

PAGE = os.path.join(ROOT, "docs", "your_own_network.md")


def test_the_script_of_the_page_does_all_that_the_page_says(run_script, small_mnist, tmp_path):
    with open(PAGE, encoding="utf-8") as file:
        (code,) = re.findall("```python\n(.*?)```", file.read(), re.DOTALL)
    assert code.count("\n") <= 50
    script = str(tmp_path / "residual_train.py")
    (tmp_path / "residual_train.py").write_text(code)
    small = [f"--data-dir={small_mnist}", "--validation-size=100", "--batch-size=32"]

    def run(name, *arguments):
        code, stdout, stderr = run_script(name, *arguments)
        assert code == 0, stderr
        return stdout

    run(script, "--num-batches=30", "--run-name=mine", "--blocks=1", *small)
    folder = tmp_path / "runs" / "residual" / "mine"
    run(script, "--resume", folder, "--num-batches=40")
    assert sorted(read_scalars(str(folder / "train"), "loss")) == list(range(40))
    with open(str(folder / "settings.json")) as file:
        assert json.load(file)["flags"]["blocks"] == 1
    assert "Test loss" in run(script, "--evaluate", folder, "--export", tmp_path / "exported")
    assert (tmp_path / "exported" / "saved_model.pb").exists()
    grid = ["--optimizers=adam", "--seeds=1", "--num-batches=20", *small]
    run("compare.py", "--networks", script, "--jobs=1", *grid)
    report = (tmp_path / "runs" / "compare" / "report" / "report.md").read_text()
    assert "residual" in report
    run("plot_losses.py")
    figures = os.listdir(str(tmp_path / "runs" / "figures"))
    assert any("residual" in name for name in figures)
