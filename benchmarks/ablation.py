"""Measures what each idea that makes a step fast brings, and writes docs/ablation.md.

python benchmarks/ablation.py              both TensorFlows (an hour on 2 cores)
python benchmarks/ablation.py --rounds 3   three processes a figure in place of five

Each idea is taken away alone. TensorFlow 2 is the one of .venv, TensorFlow 1 the one of .venv-tf1,
which is left out where it is not there (`make test-tf1` makes it).
"""

import itertools

import page
import results
import run
import tables
from peers import Environment, Peer

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


def groups(rounds):
    """[Group]: for each TensorFlow and network, the variants in turn."""
    for environment, label in itertools.product(ENVIRONMENTS, EVERYWHERE):
        network = label.split(",")[0]
        arguments = ["--network", network, *tables.STEPS[network]]
        arguments += ["--batch-norm"] if label in BATCH_NORM else []
        variants = [
            Peer(name, environment, "ours.py", mode=mode)
            for name, mode, labels in VARIANTS
            if label in labels
        ]
        title = f"{label} ({environment.folder})"
        yield tables.Group(title, variants, rounds, arguments, None)


def write_page():
    stored = results.load("ablation")
    by_version = {}
    for measurement in stored["measurements"]:
        by_version.setdefault(measurement["versions"]["tensorflow"], []).append(measurement)
    variants = [Peer(name, None, None) for name, _, _ in VARIANTS]
    text = []
    for version, found in by_version.items():
        columns = [
            (label.split(" (")[0], group, page.step_time)
            for label, group in page.by_label(found).items()
        ]
        text.append(page.titled(f"TensorFlow {version}", columns, variants))
    page.fill("ablation.md", {"ablation": "\n".join(text) + page.foot(stored)})


if __name__ == "__main__":
    arguments = run.parser(__doc__).parse_args()
    if not arguments.page:
        run.measure("ablation", list(groups(arguments.rounds)))
    write_page()
