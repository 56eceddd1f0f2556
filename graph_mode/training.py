"""The session: the training loop inside the graph, and what happens between its calls.

A session call trains up to STEPS_PER_CALL steps. The training set lives in the graph, so a call is
fed only the indices of its batches; it returns the loss of every step. Everything else happens
between calls: evaluation, printing, events and checkpoints.
"""

import collections
import concurrent.futures
import contextlib
import os
import shlex
import shutil
import sys
import time

import numpy as np
from tqdm import tqdm

import mnist_data
from graph_mode import (
    batch as batches,
    checkpoints,
    diagnostics,
    evaluation,
    layers,
    model,
    run_folder,
    summaries,
)
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError, Stopped
from graph_mode.interruption import Interruption

PRINT_EVERY = 100
STEPS_PER_CALL = 100
NONFINITE = 3

Loop = collections.namedtuple(
    "Loop", "indices steps done_and_losses request_stop variables_are_finite prepare prepare_feed"
)


def train_and_evaluate(network_name, network, options, backward=None):
    """Trains `network` as `options` say, prints, and writes a run; returns the run's folder.

    network(images, is_training, num_classes, options) maps float32 images [n, h, w, c] in [0, 1] to
    logits [n, num_classes]. backward(forward, labels, options), if given, takes the place of
    tf.gradients: from the layers.Layer list of the forward pass and labels [n] it makes the
    (gradient, variable) pairs of the mean loss. Raises CommandError and mnist_data.DataError for
    bad input, before anything is written, and Stopped after Ctrl-C or SIGTERM.
    """
    data = load_data(options)
    checksums = mnist_data.checksums(options.data_dir)
    settings = run_folder.settings_of(network_name, options, checksums)
    threads = options.threads or tf.cores()
    config = tf.use_threads(
        threads, in_each=threads if number_of_parts(options, backward) == 1 else 1
    )
    with tf.Graph().as_default() as graph, contextlib.ExitStack() as stack:
        tf.set_random_seed(options.seed)
        # Inference first: it makes the variables, and their initial values depend on the order.
        inference = evaluation.build_inference(network, data.train, options)
        loop = build_training_loop(network, data.train, options, backward)
        histograms = None
        if options.histograms:
            histograms = summaries.build_histograms(network, data.train, options)
        probe = None
        if options.diagnostics:
            probe = diagnostics.build(network, data.train, options)
        saved = checkpoints.Checkpoints(settings, data.train)
        session = stack.enter_context(tf.quiet_session(config))
        session.run([tf.global_variables_initializer(), loop.prepare], loop.prepare_feed)
        interruption = Interruption(lambda: session.run(loop.request_stop))
        stack.enter_context(interruption)
        if options.resume:
            run = options.resume
            stack.enter_context(run_folder.lock(run))
            first_step = resume(session, saved, run, settings, options)
            run_folder.write_settings(run, settings)
            events = stack.enter_context(contextlib.closing(run_folder.EventWriters(run)))
        else:
            name = options.run_name or default_run_name(options)
            run = run_folder.create(options.log_dir, network_name, name)
            first_step = 0
            with run_folder.removed_on_error(run):
                stack.enter_context(run_folder.lock(run))
                run_folder.write_settings(run, settings)
                events = stack.enter_context(contextlib.closing(run_folder.EventWriters(run)))
                summaries.add_start(events.extra, settings, graph)
                events.flush()
        training = Training(
            session, inference, loop, histograms, probe, saved, data, options, run, events,
            interruption,
        )  # fmt: skip
        training.train(first_step)
        run_folder.write_result(run, training.finish(first_step))
        if interruption.signal is not None:
            raise Stopped(
                f"interrupted by {interruption.name} after the last batch; the run is complete: "
                f"{run}",
                interruption.exit_code,
            )
    return run


def load_data(options):
    """The data sets of --data-dir, images as uint8 [n, h, w, 1]. Raises CommandError, DataError."""
    data = mnist_data.read_data_sets(
        options.data_dir,
        dtype=np.uint8,
        reshape=False,
        validation_size=options.validation_size,
        seed=options.seed,
        download=False,
    )
    if options.batch_size > data.train.num_examples:
        raise CommandError(
            f"--batch-size {options.batch_size} is larger than the training set of "
            f"{data.train.num_examples} images, which --validation-size "
            f"{options.validation_size} leaves: make one of the two smaller"
        )
    return data


def default_run_name(options):
    return f"{options.optimizer}_{'batchnorm' if options.batch_norm else 'no_batchnorm'}"


def number_of_parts(options, backward=None):
    """How many parts a batch is computed in. With one, the threads work inside the operations."""
    if options.xla or backward:
        return 1
    return 1 if options.batch_size < 32 else 2


def build_training_loop(network, data_set, options, backward=None):
    """Up to STEPS_PER_CALL training steps as one op, on batches given by their indices."""
    with tf.name_scope("training_input"):
        image_values = tf.placeholder(tf.uint8, data_set.images.shape)
        label_values = tf.placeholder(tf.uint8, data_set.labels.shape)
        images = tf.Variable(image_values, trainable=False, collections=[], name="images")
        labels = tf.Variable(label_values, trainable=False, collections=[], name="labels")
        indices = tf.placeholder(tf.int32, [STEPS_PER_CALL, options.batch_size], "indices")
        steps = tf.placeholder(tf.int32, [], "steps")
        stop = tf.Variable(False, trainable=False, collections=[], name="stop")
        request_stop = stop.assign(True)

    def train_steps(indices, steps):
        def one_step(step, losses):
            batch = batches.split(tf.gather(indices, step), number_of_parts(options, backward))
            with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
                batch_images = batches.apply(lambda i: evaluation.scale(tf.gather(images, i)), batch)
                batch_labels = batches.apply(lambda i: tf.gather(labels, i), batch)
                with layers.recorded() as forward:
                    logits = network(batch_images, True, data_set.num_classes, options)
                gradients = backward(forward, batch_labels, options) if backward else None
                loss = model.train_step(logits, batch_labels, options, gradients)
            # The counter waits for the step, so that the next one reads what this one wrote.
            with tf.control_dependencies([loss]):
                return step + 1, losses.write(step, loss)

        def goes_on(step, _losses):
            return tf.logical_and(step < steps, tf.logical_not(stop.read_value()))

        losses = tf.TensorArray(tf.float32, STEPS_PER_CALL, element_shape=[])
        done, losses = tf.while_loop(goes_on, one_step, [0, losses], parallel_iterations=1)
        return done, losses.stack()

    if options.xla:
        train_steps = tf.compiled(train_steps)
    with tf.name_scope("training_loop"):
        done, losses = train_steps(indices, steps)
    with tf.name_scope("variables_are_finite"):
        floating = [v for v in tf.global_variables() if v.dtype.is_floating]
        finite = tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in floating])
    return Loop(
        indices,
        steps,
        (done, losses),
        request_stop,
        finite,
        [images.initializer, labels.initializer, stop.initializer],
        {image_values: data_set.images, label_values: data_set.labels},
    )


def resume(session, saved, run, settings, options):
    """Sets session and data to the run's last checkpoint; returns the step to go on with.

    Raises CommandError where the run cannot go on.
    """
    if run_folder.read_settings(run)["data"] != settings["data"]:
        raise CommandError(
            f"{run}: the files in {options.data_dir} are not those that the run began "
            "with: name their folder with --data-dir"
        )
    saved.restore(session, run)
    first_step = int(session.run(tf.train.get_global_step()))
    remaining = options.num_batches - first_step
    if remaining < 0 or (remaining == 0 and run_folder.has_result(run)):
        raise CommandError(
            f"{run}: all of its {first_step} batches are trained: name more with --num-batches"
        )
    run_folder.prepare_to_go_on(run, first_step, options.validate_every)
    return first_step


class Training:
    """A run while it trains: calls of the loop, and between them what is printed and written."""

    def __init__(
        self, session, inference, loop, histograms, probe, saved, data, options, run, events,
        interruption,
    ):  # fmt: skip
        self.session = session
        self.inference = inference
        self.loop = loop
        self.histograms = histograms
        self.probe = probe
        self.saved = saved
        self.data = data
        self.options = options
        self.run = run
        self.events = events
        self.interruption = interruption
        self.started = time.time()
        self.seconds_in_steps = 0.0

    def train(self, first_step):
        """Trains from `first_step` to the last, evaluating, printing and saving on the way."""
        num_batches = self.options.num_batches
        progress = tqdm(
            total=num_batches,
            initial=first_step,
            unit="batch",
            leave=False,
            disable=not sys.stderr.isatty(),
        )
        thread = concurrent.futures.ThreadPoolExecutor(1)
        with progress, thread:
            for first, last in self.calls(first_step):
                # In a thread of its own: a signal is handled while the call goes on.
                done, batch = thread.submit(self.call, first, last).result()
                progress.update(done + 1 - first)
                if done == last:
                    self.after_call(last, batch)
                # After the last batch, what is left takes no longer than to stop would.
                if self.interruption.signal is not None and done < num_batches - 1:
                    self.stop(done)

    def calls(self, first):
        """(first, last) step of each session call: one ends wherever something is due after it."""
        due_every = {PRINT_EVERY, self.options.validate_every, self.checkpoint_every}
        while first < self.options.num_batches:
            ends = [-(-first // every) * every for every in due_every]
            last = min(ends + [first + STEPS_PER_CALL - 1, self.options.num_batches - 1])
            yield first, last
            first = last + 1

    @property
    def checkpoint_every(self):
        return self.options.checkpoint_every or self.options.validate_every

    def call(self, first, last):
        """Trains the steps from `first` to `last`; returns the last step done and its batch.

        It is an earlier one if the loop was asked to stop. Raises CommandError if a loss is not
        finite.
        """
        before = self.data.train.state()
        batches = self.next_batches(last + 1 - first)
        indices = np.zeros(self.loop.indices.shape.as_list(), np.int32)
        indices[: len(batches)] = batches
        feed = {self.loop.indices: indices, self.loop.steps: len(batches)}
        started = time.time()
        done, losses = self.session.run(self.loop.done_and_losses, feed)
        ended = time.time()
        self.seconds_in_steps += ended - started
        losses = losses[:done]
        self.events.add_training_losses(first, losses, started, ended)
        if done < len(batches):
            self.data.train.restore(before)
            batches = self.next_batches(done)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            self.check_finite(losses[bad[0]], "training loss", first + bad[0])
        return first + done - 1, batches[-1] if batches else None

    def next_batches(self, count):
        return [self.data.train.next_indices(self.options.batch_size) for _ in range(count)]

    def after_call(self, step, batch):
        """Evaluates, prints and saves what is due after `step`, which trained on `batch`."""
        validation_loss = None
        if step % self.options.validate_every == 0:
            validation = self.evaluate("validation")
            print_evaluation(step, "Validation", validation)
            self.events.validation.add_scalars(
                step, loss=validation.loss, accuracy=validation.accuracy
            )
            validation_loss = validation.loss
            self.check_finite(validation_loss, "validation loss", step)
            self.add_histograms(step, batch)
            if self.probe:
                scalars = diagnostics.measure(self.session, self.probe, self.data.train)
                self.events.train.add_scalars(step, **scalars)
        elif step % PRINT_EVERY == 0:
            images, labels = self.data.train.images[batch], self.data.train.labels[batch]
            training = evaluation.evaluate(self.session, self.inference, images, labels)
            print_evaluation(step, "Training", training)
            self.events.train.add_scalars(step, accuracy=training.accuracy)
        is_due = step % self.checkpoint_every == 0 or self.saved.is_best(validation_loss)
        if is_due and step < self.options.num_batches - 1:
            self.save(step, validation_loss)

    def finish(self, first_step):
        """Evaluates and prints the trained network; returns what result.json holds.

        `first_step` is where this process began: only its own seconds are counted.
        """
        steps = self.options.num_batches - first_step
        last = self.options.num_batches - 1
        result = {
            "steps": self.options.num_batches,
            "seconds": time.time() - self.started,
            "steps_per_second": steps / self.seconds_in_steps if steps else 0.0,
        }
        evaluations = {}
        for part in ("validation", "test"):
            evaluations[part] = final = self.evaluate(part)
            print_line(f"Final {part} accuracy: {final.accuracy:>3.5f}")
            result.update({f"{part}_loss": final.loss, f"{part}_accuracy": final.accuracy})
            if part == "test" or last % self.options.validate_every:
                writer = getattr(self.events, part)
                writer.add_scalars(last, loss=final.loss, accuracy=final.accuracy)
        test = self.data.test
        summaries.add_end(
            self.events.extra, last, test.images, test.labels, evaluations["test"].logits
        )
        self.save(last, evaluations["validation"].loss)
        return result

    def evaluate(self, part):
        examples = getattr(self.data, part)
        return evaluation.evaluate(self.session, self.inference, examples.images, examples.labels)

    def add_histograms(self, step, batch):
        if self.histograms is None:
            return
        images, labels, summary = self.histograms
        feed = {images: self.data.train.images[batch], labels: self.data.train.labels[batch]}
        summaries.add_serialized(self.events.extra, step, self.session.run(summary, feed))

    def save(self, step, validation_loss=None):
        """Saves a checkpoint, once the events up to it are on disk."""
        is_finite = self.session.run(self.loop.variables_are_finite)
        if not (is_finite or self.options.allow_nonfinite):
            raise self.not_finite("a variable was nan or inf", step)
        self.events.flush()
        self.saved.save(self.session, self.run, step, validation_loss)

    def check_finite(self, value, name, step):
        """Raises CommandError for a nan or inf, unless --allow-nonfinite."""
        if not (np.isfinite(value) or self.options.allow_nonfinite):
            raise self.not_finite(f"the {name} was {value}", step)

    def not_finite(self, what, step):
        good = checkpoints.latest(self.run)
        return CommandError(
            f"{what} at batch {step}; last good checkpoint: {good or 'none yet'}; "
            "try a smaller --learning-rate or --batch-norm, or go on with --allow-nonfinite",
            NONFINITE,
        )

    def stop(self, step):
        """Saves and ends the run, after a signal."""
        name, exit_code = self.interruption.name, self.interruption.exit_code
        if step < 0:
            run_folder.remove(self.run)
            raise Stopped(f"interrupted by {name} before the first batch", exit_code)
        self.save(step)
        raise Stopped(
            f"interrupted by {name} after batch {step}; to go on: "
            f"{command_to_go_on(self.run, self.options)}",
            exit_code,
        )


def command_to_go_on(run, options):
    """The command that goes on with the run from the current folder, for a shell."""
    python = sys.executable
    for name in ("python", "python3"):
        if shutil.which(name) == sys.executable:
            python = name
    words = [python, os.path.relpath(sys.argv[0]), "--resume", run]
    if options.export:
        words += ["--export", options.export]
    return " ".join(map(shlex.quote, words))


def print_evaluation(step, name, result):
    print_line(
        f"Batch: {step:>2}: {name} loss: {result.loss:>3.5f}, "
        f"{name} accuracy: {result.accuracy:>3.5f}"
    )


def print_line(line):
    """Prints to standard output at once, above the progress bar where there is one."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()
