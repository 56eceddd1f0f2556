"""Stands for tf.contrib.framework: arg_scope, and variables by their collections and names."""

import contextlib
import functools

from graph_mode import tensorflow1 as tf

create_global_step = tf.train.create_global_step
get_global_step = tf.train.get_global_step
get_or_create_global_step = tf.train.get_or_create_global_step

# Default keywords by function, the innermost arg_scope last.
_scopes = [{}]


def add_arg_scope(function):
    """A function like `function`, whose keywords arg_scope can give defaults."""
    key = getattr(function, "_key_op", str(function))

    @functools.wraps(function)
    def with_defaults(*args, **kwargs):
        return function(*args, **dict(_scopes[-1].get(key, {}), **kwargs))

    with_defaults._key_op = key
    return with_defaults


@contextlib.contextmanager
def arg_scope(list_ops_or_scope, **kwargs):
    """Gives the functions in the list these keywords by default; or takes a scope up again."""
    if isinstance(list_ops_or_scope, dict):
        scope = list_ops_or_scope.copy()
    else:
        scope = _scopes[-1].copy()
        for function in list_ops_or_scope:
            if not has_arg_scope(function):
                raise ValueError(f"{function} is not decorated with @add_arg_scope")
            scope[function._key_op] = dict(scope.get(function._key_op, {}), **kwargs)
    _scopes.append(scope)
    try:
        yield scope
    finally:
        _scopes.pop()


def has_arg_scope(func):
    """Whether `func` was decorated with add_arg_scope."""
    return hasattr(func, "_key_op")


def current_arg_scope():
    """The innermost scope: a dict of keywords for each function."""
    return _scopes[-1]


@add_arg_scope
def variable(
    name, shape=None, dtype=None, initializer=None, regularizer=None, trainable=True,
    collections=None, device=None, custom_getter=None, **keywords
):  # fmt: skip
    """tf.get_variable, also with `keywords`, on a `device`.

    It joins `collections`, by default GLOBAL_VARIABLES. `custom_getter`: in place of
    tf.get_variable.
    """
    getter = tf.get_variable
    if custom_getter is not None:
        getter = functools.partial(custom_getter, reuse=tf.get_variable_scope().reuse)
    collections = list(set(collections or [tf.GraphKeys.GLOBAL_VARIABLES]))
    with tf.device(device or ""):
        return getter(
            name, shape=shape, dtype=dtype, initializer=initializer, regularizer=regularizer,
            trainable=trainable, collections=collections, **keywords,
        )  # fmt: skip


@add_arg_scope
def model_variable(
    name, shape=None, dtype=tf.float32, initializer=None, regularizer=None, trainable=True,
    collections=None, **keywords
):  # fmt: skip
    """A variable that joins GLOBAL_VARIABLES and MODEL_VARIABLES; `keywords` as of variable."""
    joined = [tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES]
    joined += collections or []
    return variable(name, shape, dtype, initializer, regularizer, trainable, joined, **keywords)


def get_variables(scope=None, suffix=None, collection=tf.GraphKeys.GLOBAL_VARIABLES):
    """The variables of a collection whose names begin with `scope` and end in `suffix`."""
    if isinstance(scope, tf.VariableScope):
        scope = scope.name
    if suffix is not None:
        scope = f"{scope or ''}.*{suffix if ':' in suffix else suffix + ':'}"
    return tf.get_collection(collection, scope)


get_model_variables = functools.partial(get_variables, collection=tf.GraphKeys.MODEL_VARIABLES)
get_local_variables = functools.partial(get_variables, collection=tf.GraphKeys.LOCAL_VARIABLES)
get_trainable_variables = functools.partial(
    get_variables, collection=tf.GraphKeys.TRAINABLE_VARIABLES
)


def get_variables_by_suffix(suffix, scope=None):
    return get_variables(scope, suffix)


def get_variables_by_name(given_name, scope=None):
    return get_variables(scope, f"/{given_name}:|^{given_name}:")


def get_variables_to_restore(include=None, exclude=None):
    """The variables of the scopes `include` (None: all) without those of the scopes `exclude`."""
    kept = [v for scope in include for v in get_variables(scope)] if include else get_variables()
    left_out = [v.name for scope in exclude or () for v in get_variables(scope)]
    return [v for v in kept if v.name not in left_out]
