"""Stands for tensorflow.examples.tutorials.mnist.mnist: a network of two hidden layers."""

import math

from graph_mode import tensorflow1 as tf

NUM_CLASSES = 10
IMAGE_SIZE = 28
IMAGE_PIXELS = IMAGE_SIZE * IMAGE_SIZE


def inference(images, hidden1_units, hidden2_units):
    """images [n, 784] -> logits [n, 10], through two hidden layers with ReLU."""
    hidden1 = tf.nn.relu(_linear("hidden1", images, IMAGE_PIXELS, hidden1_units))
    hidden2 = tf.nn.relu(_linear("hidden2", hidden1, hidden1_units, hidden2_units))
    return _linear("softmax_linear", hidden2, hidden2_units, NUM_CLASSES)


def _linear(scope, inputs, size, units):
    with tf.name_scope(scope):
        stddev = 1.0 / math.sqrt(float(size))
        weights = tf.Variable(tf.truncated_normal([size, units], stddev=stddev), name="weights")
        biases = tf.Variable(tf.zeros([units]), name="biases")
        return tf.matmul(inputs, weights) + biases


def loss(logits, labels):
    """The mean softmax cross-entropy of logits [n, 10] against labels [n]."""
    return tf.losses.sparse_softmax_cross_entropy(labels=tf.to_int64(labels), logits=logits)


def training(loss, learning_rate):
    """An operation that takes one step of gradient descent, with a summary of the loss."""
    tf.summary.scalar("loss", loss)
    global_step = tf.Variable(0, name="global_step", trainable=False)
    return tf.train.GradientDescentOptimizer(learning_rate).minimize(loss, global_step)


def evaluation(logits, labels):
    """How many of logits [n, 10] have the label's class as their largest, as int32."""
    return tf.reduce_sum(tf.cast(tf.nn.in_top_k(logits, labels, 1), tf.int32))
