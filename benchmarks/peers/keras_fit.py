"""The same networks in Keras 3 on TensorFlow: a Sequential model, compile and fit on arrays."""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras  # noqa: E402
import measuring  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of every step, from the array `rates`."""

    def __call__(self, step):
        return keras.ops.take(self.rates, step)


def build_model(arguments):
    """A compiled model from images [n, 28, 28, 1] to logits [n, 10]."""
    layers = [keras.Input((28, 28, 1))]

    def add(layer):
        layers.append(layer)
        if arguments.batch_norm:
            layers.append(keras.layers.BatchNormalization(momentum=arguments.momentum))
        layers.append(keras.layers.ReLU())

    network = measuring.network_of(arguments)
    for filters, stride in network.convolutions:
        kernel = network.kernel_size
        add(keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False))
    layers.append(keras.layers.Flatten())
    for count in network.hidden_units:
        add(keras.layers.Dense(count, use_bias=False))
    layers.append(keras.layers.Dense(10))
    model = keras.Sequential(layers)
    rate = Rates() if arguments.fast else arguments.learning_rate
    if arguments.fast:
        rate.rates = measuring.learning_rates(arguments)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["categorical_accuracy"])
    return model


class Measurement(keras.callbacks.Callback):
    """Times every step, and stops after `steps`."""

    def __init__(self, arguments):
        super().__init__()
        self.steps = arguments.steps
        self.stopwatch = measuring.Stopwatch(arguments.window)

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.stopwatch.add(time.perf_counter() - self.began, 1)
        if self.stopwatch.steps >= self.steps:
            self.model.stop_training = True
        # The next step begins here: fetching its batch is part of it.
        self.began = time.perf_counter()


def main():
    arguments = measuring.parse_arguments(__doc__, ["default"])
    keras.utils.set_random_seed(arguments.seed)
    splits = {
        name: (x[..., None].astype(np.float32) / 255, keras.utils.to_categorical(y, 10))
        for name, (x, y) in measuring.read_mnist(arguments.data_dir).items()
    }
    model = build_model(arguments)
    measurement = Measurement(arguments)
    steps_per_epoch = -(-len(splits["train"][0]) // arguments.batch_size)
    model.fit(
        *splits["train"],
        batch_size=arguments.batch_size,
        epochs=-(-arguments.steps // steps_per_epoch),
        validation_data=splits["validation"],
        callbacks=[measurement],
        verbose=0,
    )
    accuracies = {
        split: model.evaluate(*splits[split], verbose=0)[1] for split in ("validation", "test")
    }
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    measuring.report(arguments, measurement.stopwatch, accuracies, versions)


if __name__ == "__main__":
    main()
