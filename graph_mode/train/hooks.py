"""What happens between the calls of the training loop of a run: each hook is one job.

A hook takes the training.Training that it belongs to.
"""

import time

import numpy as np

from graph_mode import command_line
from graph_mode.command_line import CommandError
from graph_mode.runs import checkpoints
from graph_mode.train import evaluation, schedule
from graph_mode.train.training import Hook, print_line

NONFINITE = 3


class Clock(Hook):
    """Counts the seconds of the training: all of them, and those inside the calls."""

    def __init__(self):
        self._started, self._in_calls = time.time(), 0.0

    def after_call(self, call):
        self._in_calls += call.ended - call.started

    def result(self, num_batches, first_step):
        """{"steps", "seconds", "steps_per_second"}; time is of this process, from first_step on."""
        steps, seconds = num_batches - first_step, time.time() - self._started
        rate = steps / self._in_calls if steps else 0.0
        return {"steps": num_batches, "seconds": seconds, "steps_per_second": rate}


class StepEvents(Hook):
    """Writes the scalars of every step to train/: the loss, and the learning rate if it changes."""

    def __init__(self, training):
        self._writer = training.run.train
        self._left_out = ["learning_rate"] if training.flags.schedule == "constant" else []

    def after_call(self, call):
        steps = range(call.first, call.last + 1)
        times = np.linspace(call.started, call.ended, len(steps) + 1)[1:].tolist()
        names = [name for name in call.scalars if name not in self._left_out]
        rows = zip(*(call.scalars[name].tolist() for name in names))
        for step, wall_time, values in zip(steps, times, rows):
            self._writer.add_scalars(step, wall_time, **dict(zip(names, values)))


class FiniteLosses(Hook):
    """Ends the training with a CommandError when a loss is nan or inf, unless --allow-nonfinite."""

    def __init__(self, training):
        self._folder, self._allowed = training.run.folder, training.flags.allow_nonfinite
        self._or = "" if training.flags.batch_norm else " or --batch-norm"

    def after_call(self, call):
        losses = call.scalars["loss"]
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            self.check(losses[bad[0]], "training loss", call.first + bad[0])

    def check(self, value, name, step):
        if not (np.isfinite(value) or self._allowed):
            raise self.not_finite(f"the {name} was {value}", step)

    def not_finite(self, what, step):
        good = checkpoints.latest(self._folder)
        return CommandError(
            f"{what} at batch {step}; last good checkpoint: {good or 'none yet'}; "
            f"try a smaller --learning-rate{self._or}, or continue with --allow-nonfinite",
            NONFINITE,
        )


class Validation(Hook):
    """Measures the validation set by the schedule, and prints it or the current training batch;
    loss: of the validation set after the call at hand, or None where it was not measured."""

    def __init__(self, training, finite_losses):
        self._training, self._finite_losses = training, finite_losses
        self.loss = None

    def is_due(self, step):
        flags = self._training.flags
        return schedule.is_measured(step, flags) or schedule.is_batch_printed(step, flags)

    def after_call(self, call):
        flags, run = self._training.flags, self._training.run
        self.loss = None
        if schedule.is_measured(call.last, flags):
            measured = self._training.measure("validation")
            self.loss = measured.moving.loss
            run.validation.add_scalars(call.last, **measured.scalars())
            self._finite_losses.check(self.loss, "validation loss", call.last)
            if schedule.is_validation_printed(call.last, flags):
                print_line(f"Batch: {call.last:>2}: {measured.moving.line('Validation')}")
        if schedule.is_batch_printed(call.last, flags):
            found = self._training.measure("train", call.batch, with_population=False).moving
            print_line(f"Batch: {call.last:>2}: {found.line('Training')}")
            run.train.add_scalars(call.last, accuracy=found.accuracy)


class Measuring(Hook):
    """--histograms and --diagnostics, by the schedule: each of `measures` has
    write(session, writer, step)."""

    def __init__(self, training, measures):
        self._training, self._measures = training, measures

    def is_due(self, step):
        return schedule.is_measured(step, self._training.flags)

    def after_call(self, call):
        if self.is_due(call.last):
            self.write(call.last)

    def write(self, step):
        """Measures and writes, whether due or not."""
        for measure in self._measures:
            measure.write(self._training.session, self._training.run.train, step)


class Saving(Hook):
    """Saves a checkpoint when one is due, and the best one when the validation loss is lower."""

    def __init__(self, training, validation, finite_losses, finite):
        self._training, self._validation = training, validation
        self._finite_losses, self._variables_are_finite = finite_losses, finite
        self._every = training.flags.checkpoint_every or training.flags.validate_every

    def is_due(self, step):
        return step % self._every == 0

    def after_call(self, call):
        if call.last < self._training.flags.num_batches - 1:
            self.save(call.last, self._validation.loss, self.is_due(call.last))

    def save(self, step, validation_loss=None, is_due=True):
        """Saves what is due after this step, once the events up to it are on disk."""
        training = self._training
        if not (is_due or training.checkpoints.is_best(validation_loss)):
            return
        is_finite = training.session.run(self._variables_are_finite)
        if not (is_finite or training.flags.allow_nonfinite):
            raise self._finite_losses.not_finite("a variable was nan or inf", step)
        training.run.flush()
        folder = training.run.folder
        training.checkpoints.save(training.session, folder, step, validation_loss, is_due)


def measure_end(training):
    """Measures, prints and writes validation and test set at the end of a run. Returns their
    numbers, as result.json has them, and the evaluation.Measured of the test set."""
    result = {}
    for split in ("validation", "test"):
        # The weights are the same: what was taken for the first serves the second.
        measured = training.measure(split, take=split == "validation")
        print_line(f"Final {split} accuracy: {measured.moving.accuracy:>3.5f}")
        scalars = measured.scalars()
        getattr(training.run, split).add_scalars(training.flags.num_batches, **scalars)
        result.update({f"{split}_{name}": value for name, value in scalars.items()})
        if split == "validation" and measured.population:
            labels, momentum = training.data.validation.labels, training.flags.batch_norm_momentum
            lag = evaluation.lag(*measured, labels, momentum)
            if lag:
                command_line.say(lag)
    return result, measured
