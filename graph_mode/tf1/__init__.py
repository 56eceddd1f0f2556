"""What run_tf1.py gives to programs written for TensorFlow 1, a file for each module it stands for.

importing.py makes the program see it, program.py runs the program, check.py lists its names. The
rest stands for modules that TensorFlow 2 no longer has.
"""

import importlib.util
import os

HAS_TF_KERAS = importlib.util.find_spec("tf_keras") is not None
if HAS_TF_KERAS:
    # From 2.16 on, TensorFlow takes tf.layers, tf.nn.rnn_cell and tf.keras from tf-keras, if it is
    # told so before it is imported.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
