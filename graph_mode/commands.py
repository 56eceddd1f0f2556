"""What a training script does: train, continue, evaluate or export, as its flags say.

What takes long to load is imported when it is needed: --help answers at once, and a missing package
ends in one line.
"""

import os

from graph_mode import command_line, machine
from graph_mode import flags as flag_table
from graph_mode.command_line import CommandError
from graph_mode.runs import record
from graph_mode.runs.folder import default_name

# What the recipes of --fast share.
FAST = {
    "batch_norm": True,
    "batch_norm_momentum": 0.9,
    "schedule": "one-cycle",
    "learning_rate": 0.02,
}


class Script:
    """A training script.

    name: of the network, and of the folder of its runs. network(images, training, num_classes,
    flags): maps float32 images [n, h, w, c] in [0, 1] to logits [n, num_classes]. own_flags: the
    flags.Flag list of the network. complete(parser, flags): fills in or refuses flags that depend
    on each other. backward(flags): what takes the place of tf.gradients, or None. fast(named):
    {flag: value} that --fast stands for, beside the `named` flags of the command line.
    """

    def __init__(
        self, name, network, own_flags, description, complete=None, backward=None, fast=None
    ):
        self.name, self.network, self.description = name, network, description
        self.own_flags = own_flags + ([flag_table.FAST] if fast else [])
        self.complete, self.fast = complete, fast
        self.backward = backward or (lambda flags: None)
        self.table = flag_table.table(self.own_flags)

    def parser(self):
        return flag_table.parser(self.description, self.own_flags, f"the {self.name} network")

    def parse_flags(self, arguments=None):
        """The flags as a namespace; with --resume, or --evaluate of a run, the run's own, and
        `resolved`: its slices and threads inside an operation. `default_name` is that of a new run.

        Raises CommandError for a flag or a run that does not fit.
        """
        arguments = command_line.own_arguments() if arguments is None else list(arguments)
        parser = self.parser()
        flags = parser.parse_args(arguments)
        folder = flags.resume or _run_of(flags.evaluate)
        flags.resolved = None
        if folder is None:
            named = flag_table.on_command_line(parser, arguments)
            if self.fast and flags.fast:
                parser.set_defaults(**self.fast(named))
                flags = parser.parse_args(arguments, command_line.Namespace(resolved=None))
            flags.default_name = default_name(flags, self.table, named)
        else:
            if self.fast and flags.fast:
                raise CommandError(f"{folder} has its own flags: leave out --fast")
            recorded = record.read_settings(folder)
            network, own = recorded["network"], recorded["flags"]
            if network != self.name:
                raise CommandError(
                    f"{folder}: a run of the {network} network: use its script, {network}_train.py"
                )
            flag_table.apply_recorded(parser, self.table, flags, arguments, own, folder)
            flags.resolved = recorded.get("resolved")
        if self.complete:
            self.complete(parser, flags)
        return flags

    def main(self, arguments=None):
        """Does what the flags say; returns the run's folder if it trained, else None."""
        with command_line.one_line_errors():
            return self.run(self.parse_flags(arguments))
        return None  # after --help in a notebook

    def run(self, flags, hooks=()):
        """Does what parsed flags say. hooks: training.Hooks to be called besides."""
        from graph_mode.runs import checkpoints, export
        from graph_mode.train import trainer

        for name in ("checkpoint_scope", "predict"):
            if getattr(flags, name) and not flags.evaluate:
                word = name.replace("_", "-")
                raise CommandError(f"--{word} goes with --evaluate: add that, or leave it out")
        if flags.export:
            export.check_folder(flags.export)
        folder = None
        if flags.evaluate:
            data = trainer.load_data(flags)
            checkpoint = checkpoints.find(flags.evaluate)
            if flags.predict:
                place = _run_of(flags.evaluate) or os.path.dirname(checkpoint)
                trainer.predict(self, data, flags, checkpoint, place)
            else:
                trainer.evaluate(self, data, flags, checkpoint)
        else:
            folder, data = trainer.train(self, flags, hooks)
            checkpoint = checkpoints.latest(folder)
            _tell_where_to_look(folder, flags.log_dir)
        if flags.export:
            export.export(self.network, data.train, flags, checkpoint, flags.export)
        return folder


def _run_of(checkpoint):
    """The run that a checkpoint, a folder of checkpoints or a run's folder is of; None if none."""
    if checkpoint is None:
        return None
    folder = os.path.normpath(checkpoint)
    place = folder if os.path.isdir(folder) else os.path.dirname(folder)
    for each in (place, os.path.dirname(place)):
        if os.path.basename(os.path.abspath(each)) == "checkpoints":
            folder = os.path.dirname(each) or "."
    return folder if os.path.exists(os.path.join(folder, record.SETTINGS)) else None


def _tell_where_to_look(folder, log_dir):
    """Says how to see what was written."""
    plot = ["plot_losses.py", machine.no_flag(log_dir)]
    show = ["tensorboard", "--logdir", machine.no_flag(log_dir)]
    if machine.ipython():
        plot = machine.magic(["run"] + plot)
        show = f"%load_ext tensorboard, then {machine.magic(show)}"
    else:
        plot = machine.command(["python"] + plot)
        # TensorBoard's smoothing would draw a short curve far from its values; the folder of the
        # validation set has what README speaks of, a third of the lines.
        place = "http://localhost:6006/?smoothing=0&runFilter=validation#timeseries"
        show = f"{machine.command(show)}, then {place}"
    command_line.show(f"Wrote {folder}\nCurves: {plot}\nOr: {show}")
