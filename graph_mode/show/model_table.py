"""What is being trained, as a table: layers, output shapes, numbers of parameters."""

import numpy as np

from graph_mode.show import tables

HEADS = ("layer", "kind", "output shape", "parameters")


def rows(layers):
    """(layer, kind, output shape, trained parameters) of each layers.Layer, and their total."""
    found, total = [], 0
    for layer in layers:
        shape = " x ".join(str(size) for size in layer.outputs.shape.as_list()[1:])
        count = sum(int(np.prod(v.shape.as_list())) for v in layer.variables.values())
        found.append((layer.name, layer.kind, shape, f"{count:,}"))
        total += count
    return found + [("total", "", "", f"{total:,}")]


def heading(network, flags, data, folder):
    """One sentence: what is trained on what, how, and where it is written."""
    batch_norm = "batch norm" if flags.batch_norm else "no batch norm"
    return (
        f"Training the {network} network ({batch_norm}, {flags.optimizer}, learning rate "
        f"{flags.learning_rate:g}) on {data.train.num_examples:,} images in {flags.num_batches:,} "
        f"batches of {flags.batch_size}; writing {folder}"
    )


def text(table):
    """The rows for a terminal, in aligned columns."""
    lines = [(name, shape, count) for name, _, shape, count in [HEADS] + table]
    return tables.aligned(lines, numbers={2})
