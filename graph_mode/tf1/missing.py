"""Names that a program asks for in vain, and what to say of each in one sentence."""

import importlib.util

BEFORE_1_0 = {
    "tf.all_variables": "tf.global_variables",
    "tf.histogram_summary": "tf.summary.histogram",
    "tf.merge_all_summaries": "tf.summary.merge_all",
    "tf.mul": "tf.multiply",
    "tf.neg": "tf.negative",
    "tf.nn.bidirectional_rnn": "tf.nn.static_bidirectional_rnn",
    "tf.nn.rnn": "tf.nn.static_rnn",
    "tf.pack": "tf.stack",
    "tf.scalar_summary": "tf.summary.scalar",
    "tf.select": "tf.where",
    "tf.sub": "tf.subtract",
    "tf.train.SummaryWriter": "tf.summary.FileWriter",
    "tf.unpack": "tf.unstack",
}

# The beginning of a name, and what takes the place of all names that begin so.
GONE = {
    "tf.contrib.crf": "the package tensorflow-addons (up to TensorFlow 2.15)",
    "tf.contrib.data": "tf.data",
    "tf.contrib.eager": "eager execution, which TensorFlow 2 has by itself",
    "tf.contrib.keras": "tf.keras",
    "tf.contrib.layers": "tf.layers",
    "tf.contrib.learn": "tf.estimator.Estimator with a model function",
    "tf.contrib.learn.preprocessing": "VocabularyProcessor, which is there",
    "tf.contrib.legacy_seq2seq": "rnn_decoder there, or tf.nn.dynamic_rnn",
    "tf.contrib.rnn": "the cells of tf.nn.rnn_cell",
    "tf.contrib.seq2seq": "sequence_loss there, or tf.nn.raw_rnn for decoders",
    "tf.contrib.slim": "tf.layers or tf.train",
    "tf.contrib.training": "tf.train",
    "tf.estimator": "tf.estimator.Estimator with a model function",
    "tf.nn.seq2seq": "tf.contrib.legacy_seq2seq",
}


class MissingName(AttributeError):
    """A name that the stand-in for TensorFlow 1 does not have; the message is one sentence."""


class MissingModule(ModuleNotFoundError):
    """A module of TensorFlow 1 that has no stand-in; the message is one sentence."""


class Refused(ValueError):
    """A keyword of a provided function, with a value that it does not take."""


def refuse(function, **keywords):
    """Raises Refused for the first keyword whose value is not None or False."""
    for name, value in keywords.items():
        if value is not None and value is not False:
            raise Refused(
                f"{function}({name}={value!r}) is not provided for TensorFlow 1 programs here;"
                f" leave {name} out, or run the program on TensorFlow 1.15"
            )


def sentence(name):
    """What to say of the missing `name`, such as tf.mul or tf.contrib.crf.crf_decode."""
    if name in BEFORE_1_0:
        return f"{name} is from before TensorFlow 1.0: use {BEFORE_1_0[name]}"
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        instead = GONE.get(".".join(parts[:length]))
        if instead is not None:
            return f"{name} is not in this TensorFlow, nor provided here: use {instead}"
    return f"{name} is not in this TensorFlow, nor provided here: replace it in the program"


def module_sentence(name):
    """What to say of the missing module `name`."""
    package = name.split(".")[0]
    if package != name and importlib.util.find_spec(package) is not None:
        return f"the program imports {name}, which the installed {package} does not have (any more)"
    return f"the program imports {name}, which is not installed here: install it"
