"""Names that a program asks for in vain, and what to say of each in one sentence."""

BEFORE_1_0 = {
    "tf.all_variables": "tf.global_variables",
    "tf.audio_summary": "tf.summary.audio",
    "tf.batch_cholesky": "tf.cholesky",
    "tf.batch_matmul": "tf.matmul",
    "tf.batch_matrix_inverse": "tf.matrix_inverse",
    "tf.complex_abs": "tf.abs",
    "tf.histogram_summary": "tf.summary.histogram",
    "tf.image.per_image_whitening": "tf.image.per_image_standardization",
    "tf.image_summary": "tf.summary.image",
    "tf.inv": "tf.reciprocal",
    "tf.listdiff": "tf.setdiff1d",
    "tf.merge_all_summaries": "tf.summary.merge_all",
    "tf.merge_summary": "tf.summary.merge",
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
    "tf.contrib.estimator": "a training loop with tf.Session",
    "tf.contrib.keras": "tf.keras",
    "tf.contrib.learn": "a training loop with tf.Session",
    "tf.contrib.legacy_seq2seq": "tf.nn.static_rnn and tf.nn.dynamic_rnn",
    "tf.contrib.metrics": "tf.metrics",
    "tf.contrib.rnn": "the cells of tf.nn.rnn_cell",
    "tf.contrib.seq2seq": "tf.nn.dynamic_rnn",
    "tf.contrib.summary": "tf.summary",
    "tf.contrib.training": "tf.train",
    "tf.estimator": "a training loop with tf.Session",
    "tf.nn.seq2seq": "tf.nn.static_rnn and tf.nn.dynamic_rnn",
    "tf.contrib.slim": "tf.layers or tf.train",
    "tf.contrib.layers": "tf.layers",
}

NUMPY = {
    "bool": "bool",
    "complex": "complex",
    "float": "float",
    "int": "int",
    "long": "int",
    "object": "object",
    "product": "np.prod",
    "str": "str",
    "unicode": "str",
    "cumproduct": "np.cumprod",
    "alltrue": "np.all",
    "sometrue": "np.any",
    "in1d": "np.isin",
    "tostring": "tobytes",
    "row_stack": "np.vstack",
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


def numpy_sentence(message):
    """What to say of a name that NumPy removed, by NumPy's `message`; None of any other name."""
    if "was removed in the NumPy" in message:
        return message
    name = message.split("attribute '")[-1].split("'")[0]
    if name not in NUMPY:
        return None
    shown = f"np.{name}" if "module 'numpy'" in message else f"the array's {name}"
    return f"NumPy no longer has {shown}: use {NUMPY[name]}"
