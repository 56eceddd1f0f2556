"""The drawings of docs/gradients.md agree with the checked graphs and with the text."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from helpers import text_of

import gradient_check
from graph_mode import tensorflow1 as tf

GRAPHS = {
    "network": gradient_check.network_graph,
    "batch_normalization": gradient_check.batch_norm_graph,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_drawing_has_the_nodes_of_the_checked_graph_and_is_for_everybody(name):
    text = text_of("docs", "graphs", f"{name}.svg")
    assert f"](graphs/{name}.svg)" in text_of("docs", "gradients.md")
    groups = [each for each in ElementTree.fromstring(text).iter() if each.get("data-node")]
    with tf.Graph().as_default() as graph:
        GRAPHS[name]()
        found = (re.match(r"\w+/\d+_[a-z_]+", op.name) for op in graph.get_operations())
    assert {each.get("data-node") for each in groups} == {each.group() for each in found if each}
    for group in groups:
        number = re.search(r"/(\d+)_", group.get("data-node")).group(1)
        assert number in [each.text for each in group]
    # Dark pages, and those who cannot see.
    assert "prefers-color-scheme: dark" in text and "<title>" in text and "<desc>" in text


def test_the_text_has_only_formulas_that_github_renders():
    text = text_of("docs", "gradients.md")
    blocks = re.findall(r"```math\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"\$`(.*?)`\$", text, re.DOTALL)
    assert len(blocks) > 15 and len(inline) > 100
    for formula in blocks + inline:
        for opening, closing in (("{", "}"), (r"\begin", r"\end")):
            assert formula.count(opening) == formula.count(closing)
        # Of what GitHub refuses.
        assert not re.search(r"\\(operatorname|mbox|newcommand|def|phantom|href)\b", formula)
    # A dollar that is left over would be half of a formula.
    rest = re.sub(r"```.*?```|\$`.*?`\$|`.*?`", "", text, flags=re.DOTALL)
    assert "$" not in rest
