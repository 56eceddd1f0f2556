"""Writes exercise.ipynb, for the student, from exercise_solution.ipynb (make exercise).

No cell keeps its outputs. Instead of a cell with the tag "answer" there is one to write in: what
its metadata hold under "student", or an empty one. A cell with the tag "solution" is left out.
"""

import copy
import json
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOLUTION = os.path.join(ROOT, "exercise_solution.ipynb")
STUDENT = os.path.join(ROOT, "exercise.ipynb")
TO_WRITE_IN = "**Your answer** (double-click here, and write below):\n\n"


def student(notebook):
    """The student's notebook as text, of the solution as nbformat 4 holds it."""
    made = copy.deepcopy(notebook)
    cells = [cell for cell in made["cells"] if "solution" not in _tags(cell)]
    made["cells"] = list(map(_without_answer, cells))
    return json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _tags(cell):
    return cell["metadata"].get("tags", [])


def _without_answer(cell):
    if cell["cell_type"] == "code":
        cell.update(outputs=[], execution_count=None)
    if "answer" in _tags(cell):
        empty = TO_WRITE_IN if cell["cell_type"] == "markdown" else ""
        cell["source"] = cell["metadata"].get("student", empty.splitlines(True))
    cell["metadata"] = {}
    return cell


if __name__ == "__main__":
    with open(SOLUTION, encoding="utf-8") as file:
        text = student(json.load(file))
    with open(STUDENT, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
