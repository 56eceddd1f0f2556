"""Test accuracy of runs of fc_train.py where batch norm normalizes by the batch at inference, too.

python docs/normalized_by_batches.py runs/small_batch/fc/adam_batchnorm*
"""

import os
import sys
from statistics import mean, stdev

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import fc_train
from graph_mode import command_line
from graph_mode.runs import checkpoints
from graph_mode.show import tables
from graph_mode.train import evaluation, trainer


def main(arguments=None):
    parser = command_line.OneLineParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="folders of runs")
    found, rows = {}, []
    for folder in parser.parse_args(arguments).runs:
        flags = fc_train.parse_flags(["--evaluate", folder])
        data, checkpoint = trainer.load_data(flags), checkpoints.find(folder)
        with trainer.restored(fc_train.script, data, flags, checkpoint) as (session, network):
            tower = network.fed_tower("as_in_training", training=True)
            images, labels, size = data.test.images, data.test.labels, flags.batch_size
            accuracy = evaluation.evaluate(session, tower, images, labels, size).accuracy
        setting = flags.batch_size, flags.learning_rate, flags.num_batches
        found.setdefault(setting, []).append(100 * accuracy)
    for setting, x in found.items():
        spread = f" ± {stdev(x):.2f}" if len(x) > 1 else ""
        rows.append([*setting, f"{mean(x):.2f}{spread} (n = {len(x)})"])
    heads = ["batch size", "learning rate", "num batches", "normalized by batches (%)"]
    print(tables.markdown(heads, rows))


if __name__ == "__main__":
    command_line.run(main)
