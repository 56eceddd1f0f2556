"""A batch in parts, which the processor's cores compute side by side.

One operation seldom keeps two cores busy: it is over before the second has begun. So a batch is cut
along its first axis, every operation computes with one thread, and a core each takes a part through
the layers. What is in parts is a list of tensors; a tensor alone is a batch of one part.
"""

from graph_mode import tensorflow1 as tf

# Below this many examples, what it costs to start an operation outweighs its work.
SMALLEST_PART = 16


def count_for(batch_size, threads):
    """How many parts to cut a batch into. One thread and two get the same, and so the same sums."""
    return max(1, min(max(2, threads), batch_size // SMALLEST_PART))


def split(values, count):
    """The tensor [n, ...] as a list of `count` tensors [n/count, ...], or itself if that is one."""
    if count == 1:
        return values
    examples = int(values.shape[0])
    sizes = [examples // count + (i < examples % count) for i in range(count)]
    return tf.split(values, sizes)


def joined(values):
    """The parts as one tensor [n, ...]."""
    return tf.concat(values, axis=0) if isinstance(values, list) else values


def each(function, *values):
    """function(part, ...) of each part, in parts again if `values` are."""
    if isinstance(values[0], list):
        return [function(*of_one_part) for of_one_part in zip(*values)]
    return function(*values)


def first(values):
    """One part, to ask for its type and the sizes of its other axes."""
    return values[0] if isinstance(values, list) else values
