"""Writes the points of runs as CSV or JSON, every one of them in full precision."""

import csv
import json
import math

from graph_mode.output_file import output_file

COLUMNS = ("run", "tag", "step", "wall_time", "value")


def points(runs, wanted):
    """Yields (run, tag, step, wall_time, value) of the Runs, named as in TensorBoard: a/b/train.

    wanted says of a tag whether its points are wanted.
    """
    for run in runs:
        for split, scalars in run.scalars.items():
            name = f"{run.name}/{split}" if split else run.name
            for tag in filter(wanted, scalars):
                for point in zip(*(column.tolist() for column in scalars[tag])):
                    yield (name, tag) + point


def write_csv(rows, path):
    """One line for each point. A float is written with all the digits that tell it from others."""
    with output_file(path, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def write_json(rows, path):
    """An array of objects, one for each point.

    JSON has no nan and no infinity: they are the strings "NaN", "Infinity" and "-Infinity", as in
    the JSON form of Protocol Buffers.
    """
    with output_file(path) as file:
        separator = "[\n"
        for row in rows:
            point = {name: json_value(value) for name, value in zip(COLUMNS, row)}
            file.write(separator + json.dumps(point, allow_nan=False))
            separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")


def json_value(value):
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
