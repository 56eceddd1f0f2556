"""What a training script does: train, go on training, evaluate or export, as its flags say."""

import sys

from graph_mode import checkpoints, evaluation, export, training


def run(network_name, network, options, backward=None):
    """Does what `options` say with `network`; the arguments are training.train_and_evaluate's."""
    if options.export:
        export.check_folder(options.export)
    if options.evaluate:
        checkpoint = checkpoints.find(options.evaluate)
        data = training.load_data(options)
        evaluations = evaluation.evaluate_checkpoint(network, data, options, checkpoint)
        for part, result in evaluations.items():
            name = part.capitalize()
            training.print_line(
                f"{name} loss: {result.loss:>3.5f}, {name} accuracy: {result.accuracy:>3.5f}"
            )
    else:
        run_folder = training.train_and_evaluate(network_name, network, options, backward)
        checkpoint = checkpoints.latest(run_folder)
        tell_where_to_look(run_folder, options.log_dir)
        data = None
    if options.export:
        data = data or training.load_data(options)
        export.export(network, data.train, options, checkpoint, options.export)


def tell_where_to_look(run_folder, log_dir):
    """Says on a terminal how to see what was written; elsewhere nobody reads it."""
    if sys.stderr.isatty():
        print(
            f"Wrote {run_folder}\n"
            f"Curves: tensorboard --logdir {log_dir}, or python plot_losses.py {log_dir}",
            file=sys.stderr,
        )
