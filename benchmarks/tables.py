"""What each table measures: groups of processes that differ in the contestant alone."""

import collections

import made_data
from peers import OURS, PEERS, PUBLISHED, READERS

# `contestants` run in turn, `rounds` times, each time with another seed, with the same `arguments`.
# `fill` writes the data that they read into a folder; None is for MNIST.
Group = collections.namedtuple("Group", "label contestants rounds arguments fill")

NETWORKS = ("fc", "conv")
# Enough windows for a median, few enough that the slowest program is done in half a minute.
STEPS = {"fc": ["--steps", 1000], "conv": ["--steps", 125, "--window", 25]}
ONE_CYCLE = ["--one-cycle", "--learning-rate", 0.02, "--momentum", 0.9, "--steps", 400]
RECIPES = [
    ("fc: 400 batches of 256 in one cycle", "fc", ["--batch-size", 256]),
    ("conv: 400 batches of 128 in one cycle", "conv", []),
]
IMAGES = (60000, 250000, 1000000)
# Only for those that keep the images as bytes.
MOST_IMAGES = 4000000
EVENTS = 100000


def measured_in(table, network):
    return [peer for peer in PEERS if table in getattr(peer, network)]


def steps(rounds):
    for network in NETWORKS:
        for label, flags in ((f"{network}, batch norm", ["--batch-norm"]), (network, [])):
            arguments = ["--network", network] + STEPS[network] + flags
            yield Group(label, measured_in("steps", network), rounds, arguments, None)


def startup(rounds):
    return whole(rounds, num_steps=1)


def whole(rounds, num_steps=3000):
    for network in NETWORKS:
        arguments = ["--network", network, "--batch-norm", "--steps", num_steps]
        label = f"{network}, batch norm"
        yield Group(label, measured_in("whole", network), rounds, arguments, None)


def accuracy(rounds):
    for label, network, flags in RECIPES:
        arguments = ["--network", network, "--batch-norm"] + ONE_CYCLE + flags
        yield Group(label, measured_in("accuracy", network), rounds, arguments, None)


def growth(rounds):
    arguments = ["--network", "fc", "--batch-norm", "--steps", 601]
    contestants = measured_in("growth", "fc")
    for images in IMAGES + (MOST_IMAGES,):
        if images == MOST_IMAGES:
            contestants = [peer for peer in contestants if peer.name in (OURS, PUBLISHED)]

        def fill(folder, images=images):
            made_data.write_images(folder, images)

        yield Group(f"{images:,} images", contestants, rounds, arguments, fill)


def events(rounds):
    def fill(folder):
        made_data.write_events(folder, EVENTS)

    yield Group(f"{EVENTS:,} events", READERS, rounds, [], fill)


TABLES = {
    "steps": steps,
    "startup": startup,
    "whole": whole,
    "accuracy": accuracy,
    "growth": growth,
    "events": events,
}
