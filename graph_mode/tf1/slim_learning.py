"""Stands for slim.learning: a training operation and the loop around it."""

import sys

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.contrib_layers import after_updates
from graph_mode.tf1.missing import refuse

_GLOBAL_STEP = object()


def create_train_op(
    total_loss, optimizer, global_step=_GLOBAL_STEP, update_ops=None, variables_to_train=None,
    clip_gradient_norm=0, gate_gradients=1, aggregation_method=None,
    colocate_gradients_with_ops=False, check_numerics=True, **refused
):  # fmt: skip
    """The loss, as a tensor that takes a training step and UPDATE_OPS when it is computed."""
    refuse("slim.learning.create_train_op", **refused)
    if global_step is _GLOBAL_STEP:
        global_step = tf.train.get_or_create_global_step()
    total_loss = after_updates(total_loss, update_ops)
    gradients = optimizer.compute_gradients(
        total_loss, variables_to_train, gate_gradients, aggregation_method,
        colocate_gradients_with_ops,
    )  # fmt: skip
    if clip_gradient_norm > 0:
        longest = clip_gradient_norm
        gradients = [(g if g is None else tf.clip_by_norm(g, longest), v) for g, v in gradients]
    step = optimizer.apply_gradients(gradients, global_step=global_step)
    with tf.name_scope("train_op"):
        if check_numerics:
            total_loss = tf.check_numerics(total_loss, "LossTensor is inf or nan")
        with tf.control_dependencies([step]):
            train_op = tf.identity(total_loss)
    tf.add_to_collection(tf.GraphKeys.TRAIN_OP, train_op)
    return train_op


def train(
    train_op, logdir, log_every_n_steps=1, graph=None, global_step=None, number_of_steps=None,
    init_fn=None, save_summaries_secs=600, saver=None, save_interval_secs=600, session_config=None,
    **refused
):  # fmt: skip
    """Runs `train_op` until the global step is `number_of_steps`; returns the last loss.

    Summaries and checkpoints go to `logdir`, from whose newest checkpoint it goes on.
    """
    refuse("slim.learning.train", **refused)
    with (graph or tf.get_default_graph()).as_default():
        step = tf.train.get_or_create_global_step() if global_step is None else global_step
        shown, loss = {"global step": step, "loss": train_op}, None
        hooks = [tf.train.LoggingTensorHook(shown, log_every_n_steps or sys.maxsize)]
        if number_of_steps is not None:
            hooks.append(tf.train.StopAtStepHook(last_step=number_of_steps))
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=logdir,
            scaffold=tf.train.Scaffold(saver=saver, init_fn=init_fn and (lambda _, s: init_fn(s))),
            hooks=hooks,
            save_checkpoint_secs=save_interval_secs,
            save_summaries_steps=None,
            save_summaries_secs=save_summaries_secs,
            config=session_config,
        ) as session:
            while not session.should_stop():
                loss = session.run(train_op)
        return loss
