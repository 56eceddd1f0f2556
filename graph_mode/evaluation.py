"""The network at rest: loss and accuracy of a data set, from a session or from a checkpoint."""

import collections
import concurrent.futures

import numpy as np

from graph_mode import model
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError

# An operation computes with one thread, so a core each takes some of the images.
IMAGES_PER_CALL = 500

Inference = collections.namedtuple("Inference", "images labels logits losses")
Evaluation = collections.namedtuple("Evaluation", "loss accuracy logits")


def build_inference(network, data_set, options):
    """The network for evaluation: from uint8 images and labels to logits and each image's loss."""
    images = tf.placeholder(tf.uint8, [None] + list(data_set.image_shape), "images")
    labels = tf.placeholder(tf.uint8, [None], "labels")
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        logits = network(scale(images), False, data_set.num_classes, options)
    return Inference(images, labels, logits, model.example_losses(logits, labels, options.loss))


def scale(images):
    """uint8 images as float32 in [0, 1], the values that input_data gave."""
    with tf.name_scope("scale"):
        return tf.cast(images, tf.float32) * (1.0 / 255.0)


def evaluate(session, inference, images, labels):
    """Mean loss, accuracy and logits for uint8 images [n, h, w, c] and labels [n]."""

    def evaluate_from(start):
        part = slice(start, start + IMAGES_PER_CALL)
        feed = {inference.images: images[part], inference.labels: labels[part]}
        return session.run([inference.logits, inference.losses], feed)

    with concurrent.futures.ThreadPoolExecutor(tf.cores()) as calls:
        results = calls.map(evaluate_from, range(0, len(labels), IMAGES_PER_CALL))
        logits, losses = zip(*results)
    logits = np.concatenate(logits)
    return Evaluation(
        loss=float(np.concatenate(losses).mean(dtype=np.float64)),
        accuracy=float((logits.argmax(axis=1) == labels).mean()),
        logits=logits,
    )


def evaluate_checkpoint(network, data, options, checkpoint):
    """Returns {"validation": Evaluation, "test": Evaluation} by the checkpoint at this path."""
    config = tf.use_threads(options.threads or tf.cores())
    with tf.Graph().as_default(), tf.quiet_session(config) as session:
        inference = build_inference(network, data.train, options)
        restore(session, checkpoint)
        return {
            part: evaluate(session, inference, examples.images, examples.labels)
            for part, examples in (("validation", data.validation), ("test", data.test))
        }


def restore(session, checkpoint):
    """Restores the network's variables, and only those, from the checkpoint at this path.

    A checkpoint of a program with tf.layers has them under the same names. Raises CommandError for
    what is not a checkpoint of this network.
    """
    variables = tf.global_variables()
    try:
        reader = tf.train.NewCheckpointReader(checkpoint)
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError):
        raise CommandError(
            f"{checkpoint}: expected a checkpoint, found none that can be read"
        ) from None
    for variable in variables:
        name, shape = variable.op.name, variable.shape.as_list()
        if shapes.get(name) != shape:
            found = f"of shape {shapes[name]}" if name in shapes else "missing"
            raise CommandError(
                f"{checkpoint}: expected {name} of shape {shape}, found it {found}: "
                "give the flags that it was trained with"
            )
    try:
        tf.train.Saver(variables).restore(session, checkpoint)
    except (tf.errors.OpError, ValueError):
        raise CommandError(
            f"{checkpoint}: the checkpoint is damaged; take an earlier one"
        ) from None
