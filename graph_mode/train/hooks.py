"""What happens between the calls of the training loop of a run: each hook is one job."""

import time

import numpy as np

from graph_mode import command_line
from graph_mode.command_line import CommandError
from graph_mode.runs import checkpoints
from graph_mode.train import evaluation
from graph_mode.train.training import Hook, print_line

PRINT_EVERY = 100
NONFINITE = 3


class Clock(Hook):
    """Counts the seconds of the training: all of them, and those inside the calls."""

    def __init__(self):
        self._started, self._in_calls = time.time(), 0.0

    def after_call(self, call):
        self._in_calls += call.ended - call.started

    def result(self, num_batches, first_step):
        """{"steps", "seconds", "steps_per_second"}; time is of this process, from first_step on."""
        steps = num_batches - first_step
        return {
            "steps": num_batches,
            "seconds": time.time() - self._started,
            "steps_per_second": steps / self._in_calls if steps else 0.0,
        }


class StepEvents(Hook):
    """Writes the scalars of every step to train/: the loss, and the learning rate if it changes."""

    def __init__(self, run, flags):
        self._run = run
        self._left_out = {"learning_rate"} if flags.schedule == "constant" else set()

    def after_call(self, call):
        steps = range(call.first, call.last + 1)
        times = np.linspace(call.started, call.ended, len(steps) + 1)[1:].tolist()
        scalars = {
            name: values.tolist()
            for name, values in call.scalars.items()
            if name not in self._left_out
        }
        for i, (step, wall_time) in enumerate(zip(steps, times)):
            of_step = {name: values[i] for name, values in scalars.items()}
            self._run.train.add_scalars(step, wall_time, **of_step)


class FiniteLosses(Hook):
    """Ends the training with a CommandError when a loss is nan or inf, unless --allow-nonfinite."""

    def __init__(self, run, flags):
        self._folder, self._allowed = run.folder, flags.allow_nonfinite

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
            "try a smaller --learning-rate or --batch-norm, or continue with --allow-nonfinite",
            NONFINITE,
        )


class Evaluations(Hook):
    """Measures and prints the network: validation set and current batch.

    Every 100 batches the validation set goes to validation/; every --validate-every of them it is
    printed, at other multiples of 100 the current training batch is. With batch norm, the
    validation set is measured with population statistics too.

    validation: the Evaluation printed after the call at hand, or None; final: {split: measured} of
    at_end().
    """

    def __init__(self, session, built, population, data, run, flags, finite_losses):
        self._session, self._built, self._population = session, built, population
        self.data, self._run, self._flags = data, run, flags
        self._finite_losses = finite_losses
        self.validation = None
        self.final = {}

    def is_due(self, step):
        return step % self._flags.validate_every == 0 or step % PRINT_EVERY == 0

    def after_call(self, call):
        self.validation = None
        if not self.is_due(call.last):
            return
        measured = self._measure("validation")
        self._run.validation.add_scalars(call.last, **scalars_of(measured))
        self._finite_losses.check(measured[""].loss, "validation loss", call.last)
        if call.last % self._flags.validate_every == 0:
            self.validation = measured[""]
            print_evaluation(call.last, "Validation", self.validation)
        else:
            examples = self.data.train
            images, labels = examples.images[call.batch], examples.labels[call.batch]
            found = evaluation.evaluate(self._session, self._built.evaluation, images, labels)
            print_evaluation(call.last, "Training", found)
            self._run.train.add_scalars(call.last, accuracy=found.accuracy)

    def at_end(self):
        """Measures, prints and writes validation and test set; returns {"test_loss": …, …}."""
        result = {}
        for split in ("validation", "test"):
            self.final[split] = measured = self._measure(split)
            print_line(f"Final {split} accuracy: {measured[''].accuracy:>3.5f}")
            scalars = scalars_of(measured)
            getattr(self._run, split).add_scalars(self._flags.num_batches, **scalars)
            result.update({f"{split}_{name}": value for name, value in scalars.items()})
        measured = self.final["validation"]
        if self._population:
            labels = self.data.validation.labels
            lag = evaluation.lag(measured[""], measured["_population"], labels)
            if lag:
                command_line.say(lag)
        return result

    def _measure(self, split):
        """{"": Evaluation with moving averages, "_population": with population statistics}."""
        examples = getattr(self.data, split)
        images, labels = examples.images, examples.labels
        found = {"": evaluation.evaluate(self._session, self._built.evaluation, images, labels)}
        if self._population:
            self._population.take(self._session)
            inference = self._population.inference
            found["_population"] = evaluation.evaluate(self._session, inference, images, labels)
        return found


def scalars_of(measured):
    """{"loss": …, "accuracy": …, "loss_population": …, …} of Evaluations.measure()."""
    scalars = {}
    for kind, found in measured.items():
        scalars.update({f"loss{kind}": found.loss, f"accuracy{kind}": found.accuracy})
    return scalars


def print_evaluation(step, name, found):
    print_line(
        f"Batch: {step:>2}: {name} loss: {found.loss:>3.5f}, "
        f"{name} accuracy: {found.accuracy:>3.5f}"
    )


class Measuring(Hook):
    """--histograms or --diagnostics: often in the beginning, then every --validate-every batches.

    measure: has write(session, writer, step, batch). A short run, too, has several points: after
    batch 0, 10, 20, 50, 100 and 200, and at the end.
    """

    EARLY = (0, 10, 20, 50, 100, 200)

    def __init__(self, session, measure, run, flags):
        self._session, self._measure, self._run, self._flags = session, measure, run, flags
        self._batch = None

    def is_due(self, step):
        return step in self.EARLY or step % self._flags.validate_every == 0

    def after_call(self, call):
        self._batch = call.batch
        if self.is_due(call.last):
            self._measure.write(self._session, self._run.train, call.last, call.batch)

    def at_end(self):
        """Measures after the last batch."""
        if self._batch is not None:
            step = self._flags.num_batches
            self._measure.write(self._session, self._run.train, step, self._batch)


class Saving(Hook):
    """Saves a checkpoint when one is due or the validation loss is the lowest so far."""

    def __init__(self, session, saved, run, flags, evaluations, finite_losses, finite):
        self._session, self._saved, self._run, self._flags = session, saved, run, flags
        self._evaluations, self._finite_losses = evaluations, finite_losses
        self._variables_are_finite = finite
        self._every = flags.checkpoint_every or flags.validate_every

    def is_due(self, step):
        return step % self._every == 0

    def after_call(self, call):
        validation = self._evaluations.validation
        loss = validation.loss if validation else None
        is_due = self.is_due(call.last) or self._saved.is_best(loss)
        if is_due and call.last < self._flags.num_batches - 1:
            self.save(call.last, loss)

    def save(self, step, validation_loss=None):
        """Saves a checkpoint, once the events up to it are on disk."""
        is_finite = self._session.run(self._variables_are_finite)
        if not (is_finite or self._flags.allow_nonfinite):
            raise self._finite_losses.not_finite("a variable was nan or inf", step)
        self._run.flush()
        self._saved.save(self._session, self._run.folder, step, validation_loss)
