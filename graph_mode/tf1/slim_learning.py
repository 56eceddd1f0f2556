"""Stands for slim.learning: a training operation and the loop around it."""

import time

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.contrib_layers import after_updates
from graph_mode.tf1.missing import refuse

_GLOBAL_STEP = object()


def clip_gradient_norms(gradients_to_variables, max_norm):
    """(gradient, variable) pairs whose gradients are no longer than `max_norm` each."""
    return [
        (gradient if gradient is None else tf.clip_by_norm(gradient, max_norm), variable)
        for gradient, variable in gradients_to_variables
    ]


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
        total_loss,
        variables_to_train,
        gate_gradients=gate_gradients,
        aggregation_method=aggregation_method,
        colocate_gradients_with_ops=colocate_gradients_with_ops,
    )
    if clip_gradient_norm > 0:
        gradients = clip_gradient_norms(gradients, clip_gradient_norm)
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
        if global_step is None:
            global_step = tf.train.get_or_create_global_step()
        supervisor = tf.train.Supervisor(
            logdir=logdir,
            global_step=global_step,
            init_fn=init_fn,
            saver=saver or tf.train.Saver(),
            save_summaries_secs=save_summaries_secs,
            save_model_secs=save_interval_secs,
        )
        with supervisor.managed_session(config=session_config) as session:
            loss, step = None, session.run(global_step)
            while not supervisor.should_stop() and step != number_of_steps:
                start = time.time()
                loss, step = session.run([train_op, global_step])
                if log_every_n_steps and step % log_every_n_steps == 0:
                    tf.logging.info(
                        "global step %d: loss = %.4f (%.3f sec/step)",
                        step,
                        loss,
                        time.time() - start,
                    )
            if logdir:
                supervisor.saver.save(session, supervisor.save_path, global_step=global_step)
        return loss
