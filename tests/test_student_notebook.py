"""exercise.ipynb is what docs/student_notebook.py makes of exercise_solution.ipynb."""

import json
import os
import re
import sys

import pytest
from helpers import ROOT, text_of

sys.path.insert(0, os.path.join(ROOT, "docs"))
import student_notebook


def cells_of(name):
    return json.loads(text_of(name))["cells"]


def test_the_exercise_is_made_of_the_solution_without_outputs_and_answers_but_room_for_them():
    made = student_notebook.student(json.loads(text_of("exercise_solution.ipynb")))
    assert made == text_of("exercise.ipynb"), "run make exercise"
    cells, solution = cells_of("exercise.ipynb"), cells_of("exercise_solution.ipynb")
    assert not any(cell.get("outputs") or cell["metadata"] for cell in cells)
    everything = "\n".join("".join(cell["source"]) for cell in cells)
    asked = [part for part in everything.split("\n## ") if re.match("Problem|Lesson", part)]
    assert len(asked) == 8
    assert all("Your answer" in part and "minutes)" in part.split("\n")[0] for part in asked)
    answers = [cell for cell in solution if "answer" in cell["metadata"].get("tags", [])]
    assert len(answers) > 8
    for cell in answers:
        own = set(cell["source"]) - set(cell["metadata"].get("student", []))
        lines = {line.strip() for line in own if len(line.strip()) > 20}
        assert lines and not any(line in everything for line in lines), lines


@pytest.fixture
def shell(monkeypatch, tmp_path):
    interactiveshell = pytest.importorskip("IPython.core.interactiveshell")
    monkeypatch.chdir(tmp_path)
    yield interactiveshell.InteractiveShell.instance()
    interactiveshell.InteractiveShell.clear_instance()


def test_the_project_that_is_not_there_is_told_in_one_line_and_found_when_it_is(shell, tmp_path):
    [setup] = ["".join(c["source"]) for c in cells_of("exercise.ipynb") if "FOLDER =" in str(c)]
    [line] = shell.run_cell(setup).error_in_exec._render_traceback_()
    assert line.startswith("REPOSITORY is not set: ") and "\n" not in line
    wrong = setup.replace('REPOSITORY = ""', f'REPOSITORY = "{tmp_path}/none"')
    assert "none" in str(shell.run_cell(wrong).error_in_exec)
    folder = tmp_path / "batch-norm-exercise"
    folder.mkdir()
    (folder / "fc_train.py").write_text("")
    # Once more where it ended, and in a new kernel, which starts above the project.
    for place in (tmp_path, folder):
        os.chdir(str(place))
        assert shell.run_cell(setup).error_in_exec is None
        assert os.getcwd() == str(folder)


@pytest.mark.parametrize("name", ["exercise.ipynb", "exercise_solution.ipynb"])
def test_the_links_lead_somewhere(name):
    text = "".join("".join(cell["source"]) for cell in cells_of(name))
    links = re.findall(r"\]\((docs/[^)#]+)#?([^)]*)\)", text)
    assert links
    for page, anchor in links:
        headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
        assert not anchor or anchor in anchors, f"{page}#{anchor}"
