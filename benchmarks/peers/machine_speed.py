"""What TensorFlow's own kernels reach here: matrix multiplication, copying, convolution.

Prints one JSON line; every figure is the best of several windows, as a limit should be.
"""

import json
import os
import sys
import time

import measuring
import numpy as np

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))

from graph_mode import tensorflow1 as tf  # noqa: E402

WINDOWS = 9
MATRIX = 2048
# The activations of one layer (inside the caches), and far more than any cache holds.
COPY_MEGABYTES = {"cached": 3, "memory": 256}
BATCH = 128


def seconds(build, repeats):
    """Best seconds of one `build()` of `repeats` run one after another in one session call."""
    with tf.Graph().as_default(), tf.Session() as session:
        count = tf.placeholder(tf.int32, [])
        operation = build()

        def body(step, value):
            return step + 1, operation(value)

        initial = tf.Variable(operation.initial)
        _, last = tf.while_loop(
            lambda step, _: step < count, body, [0, initial.read_value()], parallel_iterations=1
        )
        fetch = tf.reduce_max(last)
        session.run(tf.global_variables_initializer())
        session.run(fetch, {count: 2})
        times = []
        for _ in range(WINDOWS):
            started = time.perf_counter()
            session.run(fetch, {count: 1})
            one = time.perf_counter()
            session.run(fetch, {count: 1 + repeats})
            times.append(((time.perf_counter() - one) - (one - started)) / repeats)
    return min(times)


def matmul():
    def multiply(value):
        return tf.matmul(value, value)

    multiply.initial = np.full([MATRIX, MATRIX], 1.0 / MATRIX, np.float32)
    return multiply


def copy_of(megabytes):
    def build():
        def copy(value):
            return value + 1.0

        copy.initial = np.zeros([megabytes * 2**18], np.float32)
        return copy

    return build


def convolution(size, inputs, filters, stride, with_input_gradient):
    """Forward, kernel gradient and (but for the first layer) input gradient of one layer."""

    def build():
        generator = np.random.RandomState(0)
        kernel = tf.constant(generator.randn(3, 3, inputs, filters).astype(np.float32))
        images = tf.constant(generator.rand(BATCH, size, size, inputs).astype(np.float32))
        strides = [1, stride, stride, 1]

        def layer(value):
            # Each repetition needs the one before, so none can be left out or run beside another.
            changed = kernel + 1e-20 * tf.reduce_sum(value[:1])
            outputs = tf.nn.conv2d(images, changed, strides, "SAME")
            kernel_gradient = tf.raw_ops.Conv2DBackpropFilter(
                input=images,
                filter_sizes=[3, 3, inputs, filters],
                out_backprop=outputs,
                strides=strides,
                padding="SAME",
            )
            if not with_input_gradient:
                return kernel_gradient * 1e-20
            input_gradient = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=[BATCH, size, size, inputs],
                filter=changed,
                out_backprop=outputs,
                strides=strides,
                padding="SAME",
            )
            with tf.control_dependencies([input_gradient]):
                return kernel_gradient * 1e-20

        layer.initial = np.zeros([3, 3, inputs, filters], np.float32)
        return layer

    return build


def convolution_milliseconds():
    """Milliseconds a step of each of the network's five convolutions alone."""
    milliseconds = []
    size, inputs = 28, 1
    for filters, stride in measuring.convolutions(5):
        build = convolution(size, inputs, filters, stride, bool(milliseconds))
        milliseconds.append(round(1000 * seconds(build, 20), 3))
        size, inputs = -(-size // stride), filters
    return milliseconds


def main():
    copies = {
        name: round(2 * megabytes * 2**20 / seconds(copy_of(megabytes), repeats) / 1e9, 1)
        for (name, megabytes), repeats in zip(sorted(COPY_MEGABYTES.items()), (200, 5))
    }
    measurement = {
        "matmul_gigaflops": round(2 * MATRIX**3 / seconds(matmul, 5) / 1e9, 1),
        "copy_gigabytes": copies,
        "convolution_ms": convolution_milliseconds(),
        "versions": {"tensorflow": tf.VERSION},
    }
    print(json.dumps(measurement))


if __name__ == "__main__":
    main()
