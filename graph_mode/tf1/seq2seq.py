"""Stands for tf.contrib.seq2seq and tf.contrib.legacy_seq2seq: losses of sequences, a decoder."""

from graph_mode import tensorflow1 as tf


def sequence_loss(
    logits, targets, weights, average_across_timesteps=True, average_across_batch=True,
    sum_over_timesteps=False, sum_over_batch=False, softmax_loss_function=None, name=None,
):  # fmt: skip
    """The weighted cross-entropy of logits [n, t, k] against targets [n, t], with weights [n, t].

    It is the mean over the time, the examples or both; or the sum, over the number of weights that
    are not zero; else the losses [n, t]. If they are lists over the time, it is that of
    legacy_seq2seq: the sum of sequence_loss_by_example, or its mean over the batch.
    """
    if isinstance(logits, (list, tuple)):
        by_time = average_across_timesteps
        cost = tf.reduce_sum(
            sequence_loss_by_example(logits, targets, weights, by_time, softmax_loss_function)
        )
        return cost / tf.cast(tf.shape(targets[0])[0], cost.dtype) if average_across_batch else cost
    loss = softmax_loss_function or tf.nn.sparse_softmax_cross_entropy_with_logits
    with tf.name_scope(name, "sequence_loss", [logits, targets, weights]):
        flat = tf.reshape(logits, [-1, tf.shape(logits)[2]])
        losses = loss(labels=tf.reshape(targets, [-1]), logits=flat)
        losses = tf.reshape(losses * tf.reshape(weights, [-1]), tf.shape(logits)[:2])
        if average_across_timesteps or average_across_batch:
            axes = [0] * average_across_batch + [1] * average_across_timesteps
            divisor = tf.reduce_sum(weights, axes)
        elif sum_over_timesteps or sum_over_batch:
            axes = [0] * sum_over_batch + [1] * sum_over_timesteps
            divisor = tf.cast(tf.count_nonzero(weights, axes), losses.dtype)
        else:
            return losses
        return tf.div_no_nan(tf.reduce_sum(losses, axes), divisor)


def sequence_loss_by_example(
    logits, targets, weights, average_across_timesteps=True, softmax_loss_function=None, name=None
):
    """The cross-entropy of each example [n], of lists over the time: logits [n, k], targets and
    weights [n]; divided by the sum of its weights if `average_across_timesteps`."""
    loss = softmax_loss_function or tf.nn.sparse_softmax_cross_entropy_with_logits
    with tf.name_scope(name, "sequence_loss_by_example", [*logits, *targets, *weights]):
        total = tf.add_n([
            loss(labels=tf.reshape(target, [-1]), logits=logit) * weight
            for logit, target, weight in zip(logits, targets, weights)
        ])  # fmt: skip
        return total / (tf.add_n(weights) + 1e-12) if average_across_timesteps else total


def rnn_decoder(decoder_inputs, initial_state, cell, loop_function=None, scope=None):
    """(outputs, state) of `cell` over a list of inputs [n, m], from `initial_state`.

    loop_function(output, i), if given, makes each input but the first from the output before it.
    """
    with tf.variable_scope(scope or "rnn_decoder"):
        state, outputs = initial_state, []
        for number, each in enumerate(decoder_inputs):
            if loop_function is not None and outputs:
                with tf.variable_scope("loop_function", reuse=True):
                    each = loop_function(outputs[-1], number)
            if number:
                tf.get_variable_scope().reuse_variables()
            output, state = cell(each, state)
            outputs.append(output)
    return outputs, state
