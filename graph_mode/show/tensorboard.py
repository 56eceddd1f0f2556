"""What TensorBoard shows besides the scalars: graph, settings, HParams, images, all in train/."""

import itertools
import time

from tensorboard.compat.proto.summary_pb2 import Summary

from graph_mode import command_line, flags
from graph_mode.show import tables

# TensorBoard's plugins import TensorFlow themselves, so each function here imports what it needs:
# by then it has been loaded quietly.

# The metrics under HParams: the scalars of add_final().
NUMBERS = ("accuracy", "loss", "accuracy_population")
METRICS = list(itertools.product(("validation", "test"), NUMBERS))
# HParams shows five columns until more are ticked: these, and OTHERS, which holds as text whatever
# else tells a run apart.
FIRST = ("network",) + flags.TOLD_FIRST[:3]
OTHERS = "other flags"


def add_start(writer, settings, defaults, graph_def, model_table):
    """Adds the graph, the network and the settings as text, and hyperparameters. defaults: {flag:
    value} where none is given; model_table: the network as Markdown."""
    from tensorboard.plugins.hparams import summary as hparams
    from tensorboard.plugins.text import summary as text

    writer.add_event(graph_def=graph_def.SerializeToString())
    _add(writer, 0, text.pb("model", model_table))
    _add(writer, 0, text.pb("settings", _settings_table(settings)))
    values = {"network": settings["network"], **settings["flags"]}
    values[OTHERS] = ", ".join(
        flags.words(name, value)
        for name, value in settings["flags"].items()
        if flags.decides_numbers(name) and name not in FIRST and value != defaults[name]
    )
    known = (bool, int, float)  # to HParams, besides text
    values = {n: v if isinstance(v, known) else _plain(v) for n, v in values.items()}
    _add(writer, 0, _experiment(values))
    _add(writer, 0, hparams.session_start_pb(values))


def _experiment(values):
    """Names the columns of HParams: what decides a run's numbers, and METRICS. Undeclared, every
    scalar of the run would be a column."""
    from tensorboard.plugins.hparams import api_pb2, summary

    types = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING}
    inputs = [
        api_pb2.HParamInfo(name=name, type=types.get(type(value), api_pb2.DATA_TYPE_FLOAT64))
        for name, value in sorted(values.items(), key=lambda item: item[0] not in FIRST + (OTHERS,))
        if flags.decides_numbers(name)
    ]
    for column in inputs:
        # A newer TensorBoard sorts them by name, but puts those first that are said to differ.
        if hasattr(column, "differs"):
            column.differs = column.name in FIRST + (OTHERS,)
    metrics = []
    for split, name in METRICS:
        title, tag = f"{split} {name}".replace("_", ", "), f"final/{name}/{split}"
        named = api_pb2.MetricName(tag=tag)
        metrics.append(api_pb2.MetricInfo(name=named, display_name=title))
    return summary.experiment_pb(inputs, metrics)


def add_end(writer, step, result, images):
    """Adds the result's metrics, images {tag: PNG bytes}, and that the run is complete."""
    from tensorboard.plugins.hparams import api_pb2, summary

    tags = {f"{split}_{name}": f"final/{name}/{split}" for split, name in METRICS}
    writer.add_scalars(step, **{tag: result[n] for n, tag in tags.items() if n in result})
    for tag, png in images.items():
        image = Summary.Image(encoded_image_string=png, colorspace=4)
        _add(writer, step, Summary(value=[Summary.Value(tag=tag, image=image)]))
    _add(writer, step, summary.session_end_pb(api_pb2.STATUS_SUCCESS, time.time()))


def add_serialized(writer, step, summary):
    """Adds the summary that a summary op gave."""
    _add(writer, step, Summary.FromString(summary))


def _add(writer, step, summary):
    # TensorFlow's and TensorBoard's protos are the same on the wire, but not the same class.
    writer.add_event(step=step, summary=Summary.FromString(summary.SerializeToString()))


def _plain(value):
    """The value as text of a proto, which cannot hold the bytes of a path that are not UTF-8."""
    if value is None:
        return "default"
    values = value if isinstance(value, (list, tuple)) else [value]
    return command_line.printable(", ".join(map(str, values)))


def _settings_table(settings):
    """The settings as a Markdown table, a row each, those that tell runs apart first."""
    rows = [("network", settings["network"])]
    rows += sorted(settings["flags"].items(), key=lambda row: (row[0] not in FIRST, row[0]))
    for group in ("versions", "data", "resolved"):
        rows += [(f"{group}: {name}", value) for name, value in sorted(settings[group].items())]
    return tables.markdown(("setting", "value"), [(name, _plain(value)) for name, value in rows])
