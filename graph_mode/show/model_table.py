"""What is being trained, as a table: layers, output shapes, numbers of parameters."""

import numpy as np


def rows(inference):
    """[(layer, kind, output shape, parameters)] of a program.Inference, and the total at the end.

    Parameters are those that are trained; moving averages are not.
    """
    found = []
    for layer in inference.tower.built:
        shape = " x ".join(str(size) for size in layer.outputs.shape.as_list()[1:])
        count = sum(int(np.prod(v.shape.as_list())) for v in layer.variables.values())
        found.append((layer.name, layer.kind, shape, count))
    return found + [("total", "", "", sum(row[-1] for row in found))]


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
    lines = [("layer", "output shape", "parameters")]
    lines += [(name, shape, f"{count:,}") for name, _, shape, count in table]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "".join(
        f"  {name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}\n"
        for name, shape, count in lines
    )


def markdown(table):
    """The rows as a table of Markdown."""
    lines = ["| layer | kind | output shape | parameters |", "|---|---|---|---|"]
    lines += [f"| {name} | {kind} | {shape} | {count:,} |" for name, kind, shape, count in table]
    return "\n".join(lines)
