"""Measures what each idea that makes a step fast brings, and writes docs/ablation.md.

python benchmarks/ablation.py              both TensorFlows (an hour on 2 cores)
python benchmarks/ablation.py --rounds 3   three processes a figure in place of five

Each idea is taken away alone. TensorFlow 2 is the one of .venv, TensorFlow 1 the one of .venv-tf1,
which is left out where it is not there (`make test-tf1` makes it).
"""

import argparse

import page
import results
import run
import tables
from environments import PROJECT
from peers import Environment, Peer

PAGE = PROJECT / "docs" / "ablation.md"
ENVIRONMENTS = [Environment(folder, (), ()) for folder in (".venv", ".venv-tf1")]
# Name in the table, mode of peers/ours.py, and the networks in which it is there to be taken away.
BATCH_NORM = ("fc, batch norm", "conv, batch norm")
EVERYWHERE = ("fc, batch norm", "fc", "conv, batch norm", "conv")
VARIANTS = [
    ("as it is", "default", EVERYWHERE),
    ("plain batch norm, TensorFlow's gradient", "plain-batch-norm", BATCH_NORM),
    ("one slice in place of two", "one-slice", EVERYWHERE),
    ("one session call a step", "one-step-a-call", EVERYWHERE),
    ("plain convolution", "plain-convolution", ("conv, batch norm", "conv")),
]
HEAD = """# What each idea brings

Milliseconds of a training step, by `make ablation`: each row after the first takes one idea away.
The plain batch norm is differentiated by TensorFlow, the fast one by the closed form of
[gradients.md](gradients.md); TensorFlow's fused operations have no gradient for their mean and
variance, so the fast forward pass alone cannot be measured. A figure is a median over n processes,
which took turns, with the lowest and the highest in brackets; "×" is its ratio to the first row: at
1.20 ×, a step takes 20 % longer without the idea. A dash stands where the idea is not used. Where
oneDNN runs, as it does here on TensorFlow 2.21, the convolution is the plain one already: there,
the last row shows what chance does.
"""


def groups(rounds):
    """{table: [Group]}: for each TensorFlow and network, the variants in turn."""
    found = []
    for environment in ENVIRONMENTS:
        for label in EVERYWHERE:
            network = label.split(",")[0]
            arguments = ["--network", network] + tables.STEPS[network]
            arguments += ["--batch-norm"] if label in BATCH_NORM else []
            variants = [
                Peer(name, environment, "ours.py", mode=mode)
                for name, mode, labels in VARIANTS
                if label in labels
            ]
            title = f"{label} ({environment.folder})"
            found.append(tables.Group(title, variants, rounds, arguments, None))
    return {"ablation": found}


def write_page():
    stored = results.load("ablation")
    if not stored:
        PAGE.write_text(HEAD + "\nNot measured yet.\n")
        return
    by_version = {}
    for measurement in stored["measurements"]:
        by_version.setdefault(measurement["versions"]["tensorflow"], []).append(measurement)
    variants = [Peer(name, None, None) for name, _, _ in VARIANTS]
    text = HEAD
    for version, found in by_version.items():
        columns = [
            (label.split(" (")[0], group, page.step_time)
            for label, group in page.by_label(found).items()
        ]
        text += f"\n**TensorFlow {version}**\n\n" + page.comparison(variants, columns)
    PAGE.write_text(text + page.foot(stored))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="processes a figure (default: 5)")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if not arguments.page:
        run.measure(groups(arguments.rounds))
    write_page()


if __name__ == "__main__":
    main()
