"""The session: the training loop inside the graph, evaluation, and what is printed.

A session call trains up to STEPS_PER_CALL steps. The training set lives in the graph, so a call is
fed only the indices of its batches; it returns the loss of every step. Evaluation and printing
happen between calls.
"""

import collections
import contextlib
import sys
import time

import numpy as np
from tqdm import tqdm

import mnist_data
from graph_mode import model, run_folder
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError

PRINT_EVERY = 100
VALIDATE_EVERY = 500
STEPS_PER_CALL = PRINT_EVERY
IMAGES_PER_EVALUATION = 1000

Inference = collections.namedtuple("Inference", "images labels losses correct")
TrainingLoop = collections.namedtuple("TrainingLoop", "indices steps losses set_data data_feed")
Evaluation = collections.namedtuple("Evaluation", "loss accuracy")


def train_and_evaluate(network_name, network, options):
    """Trains `network` as `options` say, prints, and writes a run; returns the run's folder.

    network(images, is_training, num_classes, options) maps float32 images [n, h, w, c] in [0, 1] to
    logits [n, num_classes]. Raises CommandError and mnist_data.DataError for bad input, before
    anything is written.
    """
    data = load_data(options)
    with tf.Graph().as_default():
        tf.set_random_seed(options.seed)
        # Inference first: it makes the variables, and their initial values depend on the order.
        inference = build_inference(network, data, options)
        loop = build_training_loop(network, data, options)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run(loop.set_data, loop.data_feed)
            run = run_folder.create(
                options.log_dir, network_name, options.run_name or default_run_name(options)
            )
            checksums = mnist_data.checksums(options.data_dir)
            run_folder.write_settings(run, network_name, options, checksums)
            with contextlib.closing(run_folder.EventWriters(run)) as events:
                result = run_training(session, loop, inference, data, options, events)
            run_folder.write_result(run, result)
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
            f"{data.train.num_examples} images: take a smaller batch"
        )
    return data


def default_run_name(options):
    return f"{options.optimizer}_{'batchnorm' if options.batch_norm else 'no_batchnorm'}"


def build_inference(network, data, options):
    """The network for evaluation: from uint8 images and labels to each image's loss and hit."""
    images = tf.placeholder(tf.uint8, [None] + list(data.train.images.shape[1:]), "images")
    labels = tf.placeholder(tf.uint8, [None], "labels")
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        logits = network(scale(images), False, data.train.num_classes, options)
    return Inference(
        images,
        labels,
        model.example_losses(logits, labels, options.loss),
        model.correct_predictions(logits, labels),
    )


def build_training_loop(network, data, options):
    """Up to STEPS_PER_CALL training steps as one op, on batches given by their indices."""
    image_values = tf.placeholder(tf.uint8, data.train.images.shape)
    label_values = tf.placeholder(tf.uint8, data.train.labels.shape)
    images = tf.Variable(image_values, trainable=False, collections=[], name="train_images")
    labels = tf.Variable(label_values, trainable=False, collections=[], name="train_labels")
    indices = tf.placeholder(tf.int32, [STEPS_PER_CALL, options.batch_size], "indices")
    steps = tf.placeholder(tf.int32, [], "steps")

    def train_steps(indices, steps):
        def one_step(step, losses):
            batch = tf.gather(indices, step)
            with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
                batch_images = scale(tf.gather(images, batch))
                logits = network(batch_images, True, data.train.num_classes, options)
                loss = model.train_step(logits, tf.gather(labels, batch), options)
            # The counter waits for the step, so that the next one reads what this one wrote.
            with tf.control_dependencies([loss]):
                return step + 1, losses.write(step, loss)

        losses = tf.TensorArray(tf.float32, STEPS_PER_CALL, element_shape=[])
        _, losses = tf.while_loop(
            lambda step, _: step < steps, one_step, [0, losses], parallel_iterations=1
        )
        return losses.stack()

    if options.xla:
        train_steps = tf.compiled(train_steps)
    return TrainingLoop(
        indices,
        steps,
        train_steps(indices, steps)[:steps],
        [images.initializer, labels.initializer],
        {image_values: data.train.images, label_values: data.train.labels},
    )


def scale(images):
    """uint8 images as float32 in [0, 1], the values that input_data gave."""
    return tf.cast(images, tf.float32) * (1.0 / 255.0)


def run_training(session, loop, inference, data, options, events):
    """Trains, evaluates and prints; returns the contents of result.json."""
    seconds_in_steps = 0.0
    training_started = time.time()
    for first, last in progress_over(calls(options.num_batches), options.num_batches):
        batches = [data.train.next_indices(options.batch_size) for _ in range(first, last + 1)]
        started = time.time()
        losses = train(session, loop, batches)
        ended = time.time()
        seconds_in_steps += ended - started
        events.add_training_losses(first, losses, started, ended)
        if last % VALIDATE_EVERY == 0:
            validation = evaluate(
                session, inference, data.validation.images, data.validation.labels
            )
            print_evaluation(last, "Validation", validation)
            events.add_scalars("validation", last, time.time(), **validation._asdict())
        elif last % PRINT_EVERY == 0:
            batch = batches[-1]
            training = evaluate(
                session, inference, data.train.images[batch], data.train.labels[batch]
            )
            print_evaluation(last, "Training", training)
            events.add_scalars("train", last, time.time(), accuracy=training.accuracy)
    result = {
        "steps": options.num_batches,
        "seconds": time.time() - training_started,
        "steps_per_second": options.num_batches / seconds_in_steps,
    }
    for part in ("validation", "test"):
        examples = getattr(data, part)
        final = evaluate(session, inference, examples.images, examples.labels)
        print_line(f"Final {part} accuracy: {final.accuracy:>3.5f}")
        if part == "test" or last % VALIDATE_EVERY:
            events.add_scalars(part, last, time.time(), **final._asdict())
        result.update({f"{part}_loss": final.loss, f"{part}_accuracy": final.accuracy})
    return result


def progress_over(calls, num_batches):
    """Yields `calls`; a progress bar on standard error follows, where that is a terminal."""
    with tqdm(
        total=num_batches, unit="batch", leave=False, disable=not sys.stderr.isatty()
    ) as progress:
        for first, last in calls:
            yield first, last
            progress.update(last + 1 - first)


def calls(num_batches):
    """(first, last) step of each session call: one ends at each printed batch and at the last."""
    first = 0
    while first < num_batches:
        last = min(-(-first // PRINT_EVERY) * PRINT_EVERY, num_batches - 1)
        yield first, last
        first = last + 1


def train(session, loop, batches):
    """Trains one step on each of `batches` (index arrays [batch]); returns the losses [steps]."""
    indices = np.zeros(loop.indices.shape.as_list(), np.int32)
    indices[: len(batches)] = batches
    return session.run(loop.losses, {loop.indices: indices, loop.steps: len(batches)})


def evaluate(session, inference, images, labels):
    """Mean loss and accuracy over uint8 images [n, h, w, c] and labels [n]."""
    losses, correct = [], []
    for start in range(0, len(labels), IMAGES_PER_EVALUATION):
        part = slice(start, start + IMAGES_PER_EVALUATION)
        feed = {inference.images: images[part], inference.labels: labels[part]}
        part_losses, part_correct = session.run([inference.losses, inference.correct], feed)
        losses.append(part_losses)
        correct.append(part_correct)
    return Evaluation(
        float(np.concatenate(losses).mean(dtype=np.float64)),
        float(np.concatenate(correct).mean(dtype=np.float64)),
    )


def print_evaluation(step, name, evaluation):
    print_line(
        f"Batch: {step:>2}: {name} loss: {evaluation.loss:>3.5f}, "
        f"{name} accuracy: {evaluation.accuracy:>3.5f}"
    )


def print_line(line):
    """Prints to standard output at once, above the progress bar where there is one."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()
