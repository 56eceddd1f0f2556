"""The drawings of docs/gradients.md are made by their command and agree with the text."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from helpers import ROOT

COMMITTED = os.path.join(ROOT, "docs", "graphs")
NAMES = ("network.svg", "batch_normalization.svg")


def draw(folder):
    """Runs the command into `folder`; returns {file name: content}."""
    command = [sys.executable, os.path.join(ROOT, "docs", "draw_graphs.py"), str(folder)]
    subprocess.run(command, check=True, timeout=120)
    return {name: read(os.path.join(str(folder), name)) for name in os.listdir(str(folder))}


def read(path):
    with open(path) as file:
        return file.read()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn"))


def without_letters(svg):
    """The lines that do not depend on the outlines of letters, which differ between releases."""
    letters = re.compile('<path .* class="(value|quiet|gradient|digit)"/>')
    return [line for line in svg.splitlines() if not letters.match(line)]


def test_the_same_command_writes_the_same_bytes(drawn, tmp_path):
    assert draw(tmp_path) == drawn


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_drawing_is_what_the_command_draws(drawn, name):
    committed = read(os.path.join(COMMITTED, name))
    assert without_letters(drawn[name]) == without_letters(committed)
    assert len(drawn[name].splitlines()) == len(committed.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off(drawn, name):
    svg = ElementTree.fromstring(drawn[name])
    width, height = float(svg.get("width")), float(svg.get("height"))
    paths = [element.get("d") for element in svg if element.tag.endswith("path")]
    assert len(paths) > 50
    for path in paths:
        numbers = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", path)]
        assert min(numbers[::2]) > 0 and max(numbers[::2]) < width
        assert min(numbers[1::2]) > 0 and max(numbers[1::2]) < height


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_has_colours_for_dark_pages_and_words_for_those_who_cannot_see(drawn, name):
    assert "@media (prefers-color-scheme: dark)" in drawn[name]
    assert "<title>" in drawn[name] and "<desc>" in drawn[name]


def test_the_text_shows_both_drawings_and_only_formulas_that_github_renders():
    text = read(os.path.join(ROOT, "docs", "gradients.md"))
    assert all(f"](graphs/{name})" in text for name in NAMES)
    blocks = re.findall(r"```math\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"\$`(.*?)`\$", text, re.DOTALL)
    assert len(blocks) > 15 and len(inline) > 100
    for formula in blocks + inline:
        assert formula.count("{") == formula.count("}")
        assert formula.count(r"\begin") == formula.count(r"\end")
        # GitHub refuses these; others that it has no use for would not be noticed.
        assert not re.search(
            r"\\(operatorname|mbox|newcommand|def|phantom|href|require)\b", formula
        )
    # A dollar that is left over would be half of a formula.
    rest = re.sub(r"```.*?```|\$`.*?`\$|`.*?`", "", text, flags=re.DOTALL)
    assert "$" not in rest
