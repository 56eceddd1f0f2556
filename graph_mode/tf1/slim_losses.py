"""Stands for slim.losses: those of tf.losses, with the predictions before the labels."""

import inspect

from graph_mode import tensorflow1 as tf


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    return swapped(getattr(tf.losses, name))


def swapped(function):
    """The function, whose first two arguments change their order if the first is labels."""
    names = list(inspect.signature(function).parameters)
    if "labels" not in names[0]:
        return function
    names[:2] = names[1::-1]
    return lambda *arguments, **keywords: function(**dict(zip(names, arguments), **keywords))
