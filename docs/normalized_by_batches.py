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


def accuracy_by_batches(flags, folder):
    """Normalized by the statistics of each batch, of the size that the run was trained with."""
    data, checkpoint = trainer.load_data(flags), checkpoints.find(folder)
    with trainer.restored(fc_train.script, data, flags, checkpoint) as (session, network):
        as_in_training = network.fed_tower("as_in_training", training=True)
        images, labels, size = data.test.images, data.test.labels, flags.batch_size
        return evaluation.evaluate(session, as_in_training, images, labels, size).accuracy


def main(folders):
    found = {}
    for folder in folders:
        flags = fc_train.parse_flags(["--evaluate", folder])
        setting = flags.batch_size, flags.learning_rate, flags.num_batches
        found.setdefault(setting, []).append(100 * accuracy_by_batches(flags, folder))
    heads = ["batch size", "learning rate", "num batches", "normalized by batches (%)"]
    rows = [(*key, f"{mean(x):.2f} ± {stdev(x):.2f} (n = {len(x)})") for key, x in found.items()]
    print(tables.markdown(heads, rows))


if __name__ == "__main__":
    command_line.run(lambda: main(sys.argv[1:]))
