"""Writes a trained network as a SavedModel, for TensorFlow Serving and tf.saved_model.load."""

import contextlib
import os
import tempfile

from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs import checkpoints
from graph_mode.train import program


def check_folder(folder):
    """Raises CommandError if `folder` has something in it already."""
    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise CommandError(f"--export {folder}: found it taken, expected a new folder")


def export(network, examples, flags, checkpoint, folder):
    """Writes the network with the checkpoint's variables into the new `folder`. Raises CommandError
    where the disk refuses; then nothing is left.

    Two signatures, both from `images` to `probabilities` float32 [n, classes] and `classes` int64
    [n]: serving_default takes uint8 images [n, h, w, c] as in the files, float_images takes float32
    ones in [0, 1].
    """
    with tf.Graph().as_default(), tf.quiet_session() as session:
        raw = tf.placeholder(tf.uint8, [None] + list(examples.image_shape), "raw_images")
        images = tf.placeholder_with_default(program.scale(raw), raw.shape, "images")
        logits = network(images, False, examples.num_classes, flags)
        to_probabilities = tf.nn.softmax if flags.loss == "softmax" else tf.sigmoid
        outputs = {
            "probabilities": to_probabilities(logits, name="probabilities"),
            "classes": tf.argmax(logits, axis=1, name="classes"),
        }
        variables = tf.global_variables()
        checkpoints.restore_network(session, checkpoint, variables, flags.checkpoint_scope)
        signatures = {
            name: tf.saved_model.predict_signature_def({"images": inputs}, outputs)
            for name, inputs in (("serving_default", raw), ("float_images", images))
        }
        with _whole_folder(folder) as temporary:
            builder = tf.saved_model.Builder(temporary)
            tags = [tf.saved_model.tag_constants.SERVING]
            builder.add_meta_graph_and_variables(session, tags, signatures)
            builder.save()


@contextlib.contextmanager
def _whole_folder(folder):
    """Gives a temporary name beside `folder`, which becomes `folder` if the block succeeds."""
    path = os.path.abspath(folder)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path):
            os.rmdir(path)  # An empty one: Windows renames onto no folder at all.
        with tempfile.TemporaryDirectory(dir=os.path.dirname(path), prefix=".exporting-") as place:
            yield os.path.join(place, "model")
            os.rename(os.path.join(place, "model"), path)
    except (OSError, tf.errors.OpError) as error:
        raise CommandError(
            f"--export {folder}: the model cannot be written: {checkpoints.reason_of(error)}; the "
            "run and its checkpoints are intact: export it with --evaluate and another folder"
        ) from None
