"""exercise.ipynb is what docs/student_notebook.py makes of exercise_solution.ipynb."""

import json
import os
import re
import sys

import pytest
from helpers import ROOT

sys.path.insert(0, os.path.join(ROOT, "docs"))
import student_notebook


def text_of(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def cells_of(name):
    return json.loads(text_of(name))["cells"]


def test_the_exercise_is_made_of_the_solution():
    made = student_notebook.student(json.loads(text_of("exercise_solution.ipynb")))
    assert made == text_of("exercise.ipynb"), "run make exercise"


def test_the_exercise_has_no_outputs_no_answers_and_a_cell_to_write_in_under_each_problem():
    cells = cells_of("exercise.ipynb")
    assert not any(cell.get("outputs") or cell["metadata"] for cell in cells)
    texts = ["".join(cell["source"]) for cell in cells]
    problems = "\n".join(texts).split("\n## ")
    asked = [part for part in problems if re.match("Problem|Lesson", part)]
    assert len(asked) == 8
    assert all("Your answer" in part and "minutes)" in part.split("\n")[0] for part in asked)
    everything = "\n".join(texts)
    answers = [
        cell
        for cell in cells_of("exercise_solution.ipynb")
        if "answer" in cell["metadata"].get("tags", [])
    ]
    assert len(answers) > 8
    for cell in answers:
        own = set(cell["source"]) - set(cell["metadata"].get("student", []))
        lines = {line.strip() for line in own if len(line.strip()) > 20}
        assert lines and not any(line in everything for line in lines), lines


def test_the_project_that_is_not_there_is_told_in_one_line_and_found_when_it_is(tmp_path):
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell

    [setup] = ["".join(c["source"]) for c in cells_of("exercise.ipynb") if "FOLDER =" in str(c)]
    shell = InteractiveShell.instance()
    before = os.getcwd()
    os.chdir(str(tmp_path))
    try:
        error = shell.run_cell(setup).error_in_exec
        [line] = error._render_traceback_()
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
    finally:
        os.chdir(before)
        InteractiveShell.clear_instance()


@pytest.mark.parametrize("name", ["exercise.ipynb", "exercise_solution.ipynb"])
def test_the_links_lead_somewhere(name):
    text = "".join("".join(cell["source"]) for cell in cells_of(name))
    links = re.findall(r"\]\((docs/[^)#]+)#?([^)]*)\)", text)
    assert links
    for page, anchor in links:
        headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
        assert not anchor or anchor in anchors, f"{page}#{anchor}"
