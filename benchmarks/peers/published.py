"""The published program: placeholders, feed_dict, tf.layers, a session call and a summary a step.

Runs on TensorFlow 1.15.5 with the tutorials' own input_data, and on TensorFlow 2.x with tf-keras,
where TensorFlow's removed input_data is replaced by this project's mnist_data. Written anew with
the same behaviour: same ops, same feeds, same evaluations, same printed lines.
"""

import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# tf.compat.v1.layers exists only in the Keras 2 line from TensorFlow 2.16 on; 1.15 ignores this.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
warnings.filterwarnings("ignore")

import measuring  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402

if tf.__version__.startswith("1."):
    from tensorflow.examples.tutorials.mnist import input_data
else:
    sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
    import mnist_data as input_data

    tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)


def normalized_relu(layer, is_training, arguments):
    if arguments.batch_norm:
        momentum = arguments.momentum
        layer = tf.layers.batch_normalization(layer, momentum=momentum, training=is_training)
    return tf.nn.relu(layer)


def build_logits(layer, is_training, arguments):
    """Logits [n, 10] of images [n, 28, 28, 1]."""
    network = measuring.network_of(arguments)
    for filters, stride in network.convolutions:
        size = network.kernel_size
        layer = tf.layers.conv2d(layer, filters, size, stride, "same", use_bias=False)
        layer = normalized_relu(layer, is_training, arguments)
    _, height, width, channels = layer.get_shape().as_list()
    layer = tf.reshape(layer, [-1, height * width * channels])
    for count in network.hidden_units:
        layer = tf.layers.dense(layer, count, use_bias=False)
        layer = normalized_relu(layer, is_training, arguments)
    return tf.layers.dense(layer, 10)


def main():
    arguments = measuring.parse_arguments(__doc__, ["default"])
    options = {"one_hot": True, "reshape": False, "seed": arguments.seed}
    mnist = input_data.read_data_sets(arguments.data_dir, **options)
    tf.set_random_seed(arguments.seed)

    inputs = tf.placeholder(tf.float32, [None, 28, 28, 1])
    labels = tf.placeholder(tf.float32, [None, 10])
    is_training = tf.placeholder(tf.bool)
    rate = arguments.learning_rate
    if arguments.fast:
        rate, rates = tf.placeholder(tf.float32, []), measuring.learning_rates(arguments)
    logits = build_logits(inputs, is_training, arguments)
    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=logits, labels=labels))
    tf.summary.scalar("loss", loss)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train = tf.train.AdamOptimizer(rate).minimize(loss)
    correct = tf.equal(tf.argmax(logits, 1), tf.argmax(labels, 1))
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
    summaries = tf.summary.merge_all()

    with tf.Session() as session:
        writer = tf.summary.FileWriter(arguments.log_dir, session.graph)
        session.run(tf.global_variables_initializer())
        step = 0

        def train_steps(count):
            nonlocal step
            for _ in range(count):
                images, targets = mnist.train.next_batch(arguments.batch_size)
                feed = {inputs: images, labels: targets, is_training: True}
                if arguments.fast:
                    feed[rate] = rates[step]
                _, summary = session.run([train, summaries], feed)
                writer.add_summary(summary, step)
                step += 1

        def accuracy_of(split):
            data = getattr(mnist, split)
            feed = {inputs: data.images, labels: data.labels, is_training: False}
            return session.run([loss, accuracy], feed)[1]

        measuring.measure(arguments, train_steps, accuracy_of, {"tensorflow": tf.__version__})
        writer.close()


if __name__ == "__main__":
    main()
