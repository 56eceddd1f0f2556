"""Loss and accuracy of a data set, with moving averages or with population statistics.

A network with batch norm behaves like two networks: in training it normalizes by the batch, at
inference by averages. Moving averages lag behind weights that change; population statistics are
measured for the weights as they are, so the two together tell how good the weights are, and how
good the averages.
"""

import concurrent.futures
import math
import typing

import numpy as np

from graph_mode import command_line, machine
from graph_mode import tensorflow1 as tf

IMAGES_PER_CALL = 500
# Training images from which population statistics are taken, and how many at a time: whatever the
# run's batch size is, these give what all of them would (docs/tried.md).
POPULATION_IMAGES, POPULATION_BATCH = 2560, 256
AVERAGES = ("moving_mean", "moving_variance")


class Evaluation(typing.NamedTuple):
    """Mean loss, accuracy from 0 to 1, and the logits [n, classes] of a set of images."""

    loss: float
    accuracy: float
    logits: np.ndarray

    def line(self, name):
        """Loss and accuracy as a script prints them."""
        return f"{name} loss: {self.loss:>3.5f}, {name} accuracy: {self.accuracy:>3.5f}"


class Measured(typing.NamedTuple):
    """The Evaluation with moving averages, and with population statistics where there are any."""

    moving: Evaluation
    population: typing.Optional[Evaluation] = None

    def scalars(self):
        """{"loss": …, "accuracy": …} and with population statistics "loss_population", …"""
        found = {"loss": self.moving.loss, "accuracy": self.moving.accuracy}
        if self.population:
            found["loss_population"] = self.population.loss
            found["accuracy_population"] = self.population.accuracy
        return found


def measure(session, inference, population, images, labels, take=True):
    """The Measured of these images, by the FedTower with moving averages and by the Population;
    take: whether its statistics are taken anew, for the weights as they are."""
    moving = evaluate(session, inference, images, labels)
    if population is None:
        return Measured(moving)
    if take:
        population.take(session)
    return Measured(moving, evaluate(session, population.inference, images, labels))


def evaluate(session, inference, images, labels, size=None):
    """The Evaluation of uint8 images [n, h, w, c], `size` a call, and labels [n] by a FedTower."""
    fetches, size = (inference.logits, inference.losses), size or IMAGES_PER_CALL
    logits, losses = zip(*fetch(session, inference, fetches, images, labels, size))
    logits = np.concatenate(logits)
    return Evaluation(
        loss=float(np.concatenate(losses).mean(dtype=np.float64)),
        accuracy=float((logits.argmax(axis=1) == labels).mean()),
        logits=logits,
    )


def fetch(session, tower, fetches, images, labels, size):
    """What the fetches give for each `size` of the images in turn, by a program.FedTower, a list.
    Variables that the tower changes get their values back."""

    def run_from(start):
        some = slice(start, start + size)
        return session.run(fetches, {tower.images: images[some], tower.labels: labels[some]})

    before = session.run(tower.changes)
    # An operation computes with few threads, so each core takes some of the images.
    at_once = 1 if tower.in_order else machine.cores()
    try:
        with concurrent.futures.ThreadPoolExecutor(at_once) as calls:
            return list(calls.map(run_from, range(0, len(labels), size)))
    finally:
        for variable, value in zip(tower.changes, before):
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})


def fetch_first(session, tower, fetches, examples, count):
    """What the fetches give for the first `count` of the examples, as fetch()."""
    images, labels = examples.images[:count], examples.labels[:count]
    return fetch(session, tower, fetches, images, labels, count)[0]


class Population:
    """The network at inference with population statistics in place of the moving averages.

    Algorithm 2 of Ioffe and Szegedy (2015): E[x] and Var[x] are the means, over batches of the
    first training images in training mode and over all uses of the batch normalization, of what the
    moving averages would follow. Nothing that trains is changed.
    """

    def __init__(self, program, examples):
        self._examples = examples
        self._in_training = program.fed_tower("population", training=True)
        self._moments, self._set, self._fed = [], [], []
        self._statistics = statistics = {}
        moments = {}  # by the name of the moving average, in each use of its batch normalization
        for layer in normalizations(self._in_training.tower.layers):
            for average, value in zip(AVERAGES, layer.moments):
                moments.setdefault(f"{layer.name}/{average}", []).append(value)
        with tf.name_scope("population_statistics"):
            for name, values in moments.items():
                fed = tf.placeholder(values[0].dtype, values[0].shape)
                own = tf.Variable(fed, trainable=False, collections=[], name="population")
                statistics[name] = own
                self._moments.append(tf.add_n(values) / len(values))
                self._fed.append(fed)
                self._set.append(own.initializer)

        def variable(getter, name, *args, **kwargs):
            return statistics[name] if name in statistics else getter(name, *args, **kwargs)

        self.inference = program.fed_tower("with_population", False, variable)

    def statistics(self, session, layer):
        """The mean [c] and the variance [c] last taken for the batch normalization `layer`."""
        return session.run([self._statistics[f"{layer}/{name}"] for name in AVERAGES])

    def take(self, session):
        """Takes the statistics afresh, for the weights as they are."""
        images, labels = self._examples.images, self._examples.labels
        size = min(POPULATION_BATCH, len(labels))
        count = min(len(labels), POPULATION_IMAGES) // size * size
        images, labels = images[:count], labels[:count]
        by_batch = fetch(session, self._in_training, self._moments, images, labels, size)
        means = [np.mean(values, axis=0, dtype=np.float64) for values in zip(*by_batch)]
        session.run(self._set, dict(zip(self._fed, means)))


def population_of(program, examples):
    """The Population of a network with batch normalization; None for one without it, and, after a
    note, for one whose batch normalization is not that of layers.py, which does not tell its
    moments."""
    layers = normalizations(program.inference.tower.layers)
    known = [f"{layer.name}/{average}" for layer in layers for average in AVERAGES]
    averages = [v.op.name for v in tf.global_variables() if v.op.name.endswith(AVERAGES)]
    foreign = [name for name in averages if name not in known]
    if foreign:
        command_line.say(
            f"no population statistics: {foreign[0]} is an average of a batch normalization that "
            "is not graph_mode.layers.batch_normalization"
        )
        return None
    return Population(program, examples) if layers else None


def normalizations(layers):
    return [layer for layer in layers if layer.kind == "batch_normalization"]


def lag(moving, population, labels, momentum):
    """A sentence if moving averages and population statistics give accuracies that differ by more
    than sampling explains, else None. They do so on images that only one of them has right, b and c
    of them: by chance, b - c has a standard deviation of sqrt(b + c) (McNemar's test)."""
    by_moving, by_population = (
        evaluation.logits.argmax(axis=1) == labels for evaluation in (moving, population)
    )
    b, c = int((by_moving & ~by_population).sum()), int((by_population & ~by_moving).sum())
    if abs(b - c) <= 3 * math.sqrt(b + c):
        return None
    shorter = "try --batch-norm-momentum 0.9, or " if momentum > 0.9 else ""
    return (
        f"batch norm: accuracy {moving.accuracy:.5f} with the moving averages, "
        f"{population.accuracy:.5f} with population statistics of the same weights: the averages "
        f"do not fit the weights; {shorter}train longer"
    )


def class_shares(logits, loss):
    """The share of each class, float64 [n, classes], for logits of that shape.

    softmax: its probability. sigmoid: each class has a probability of its own, which do not add up
    to 1, and what is given is the share of their sum.
    """
    logits = np.asarray(logits, np.float64)
    # Logarithms: far from 0, exp() of a logit is 0 or infinite.
    logarithms = logits if loss == "softmax" else -np.logaddexp(0, -logits)
    shares = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def accuracy_by_class(found, labels):
    """The accuracy of each class as CSV text: class, images, right, accuracy."""
    right = found.logits.argmax(axis=1) == labels
    lines = ["class,images,right,accuracy"]
    for number in range(found.logits.shape[1]):
        of_class = right[labels == number]
        share = f"{of_class.mean():.5f}" if len(of_class) else ""
        lines.append(f"{number},{len(of_class)},{of_class.sum()},{share}")
    return "\n".join(lines) + "\n"
