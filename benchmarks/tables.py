"""What each table measures: groups of processes that differ in the contestant alone."""

import collections
import itertools

from peers import IDEAS, OURS, PEERS, READERS, Environment

# `contestants` run in turn, `rounds` times, each time with another seed, with the same `arguments`.
# `data` is what made_data.py writes for them to read, as ("images", count), or None for MNIST.
Group = collections.namedtuple("Group", "label contestants rounds arguments data")

NETWORKS = ("fc", "conv")
# Enough windows for a median, few enough that the slowest program is done in half a minute.
STEPS = {"fc": ["--steps", 1000], "conv": ["--steps", 125, "--window", 25]}
WHOLE = {"fc": ["--steps", 3000], "conv": ["--steps", 1500]}
RECIPES = {
    "fc": "fc --fast: 400 batches of 256, 98 %",
    "conv": "conv --fast: 430 batches of 128, 99 %",
}
# The last for this project alone: as float32, so many images take 12 GB.
MOST_IMAGES = 4000000
IMAGES = (60000, 250000, 1000000, MOST_IMAGES)
EVENTS = 100000
# The second is left out where it is not there (`make test-tf1` makes it).
VERSIONS = (".venv", ".venv-tf1")


def measured_in(table, network):
    return [peer for peer in PEERS if table in getattr(peer, network)]


def with_and_without(table, rounds, steps):
    """steps: {network: arguments}."""
    for network in NETWORKS:
        for label, flags in ((f"{network}, batch norm", ["--batch-norm"]), (network, [])):
            arguments = ["--network", network, *steps[network], *flags]
            yield Group(label, measured_in(table, network), rounds, arguments, None)


def accuracy(rounds):
    for network, label in RECIPES.items():
        arguments = ["--network", network, "--fast"]
        yield Group(label, measured_in("accuracy", network), rounds, arguments, None)


def growth(rounds):
    arguments = ["--network", "fc", "--batch-norm", "--steps", 601]
    everyone = measured_in("growth", "fc")
    small = [peer for peer in everyone if peer.name == OURS]
    for count in IMAGES:
        contestants = small if count == MOST_IMAGES else everyone
        yield Group(f"{count:,} images", contestants, rounds, arguments, ("images", count))


def ablation(rounds):
    """For each TensorFlow and network, each idea that makes a step fast is taken away alone."""
    for folder, network, with_norm in itertools.product(VERSIONS, NETWORKS, (True, False)):
        label, environment = network + ", batch norm" * with_norm, Environment(folder, (), ())
        arguments = ["--network", network, *STEPS[network], *["--batch-norm"] * with_norm]
        variants = [peer._replace(environment=environment) for peer in IDEAS if label in peer.fc]
        yield Group(f"{label} ({folder})", variants, rounds, arguments, None)


TABLES = {
    "ablation": ablation,
    "steps": lambda rounds: with_and_without("steps", rounds, STEPS),
    "startup": lambda rounds: with_and_without(
        "startup", rounds, dict.fromkeys(NETWORKS, ["--steps", 1])
    ),
    "whole": lambda rounds: with_and_without("whole", rounds, WHOLE),
    "accuracy": accuracy,
    "growth": growth,
    "events": lambda rounds: [Group(f"{EVENTS:,} events", READERS, rounds, [], ("events", EVENTS))],
}
