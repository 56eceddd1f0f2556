"""Draws the losses of training runs from their event files, without TensorFlow.

    python plot_losses.py                               everything in runs/, into runs/figures/
    python plot_losses.py "runs/fc/adam*" --format pdf  some runs, as vector graphics
    python plot_losses.py --watch                       again whenever a run has written more

One figure for each network: the training loss of each batch (light) and smoothed, the validation
loss as markers, a colour for each optimizer, solid with batch normalization and dashed without.
Runs that differ only in their seed become their mean, with a band from the smallest to the largest.
Of runs with --diagnostics, figures of what these recorded besides, without and with batch norm.
"""

if __name__ == "__main__":
    from graph_mode import start

    start.program()

import argparse
import contextlib
import fnmatch
import functools
import os
import sys
import time

from graph_mode import command_line
from graph_mode.plotting import (
    diagnostic_figures,
    diagnostic_lines,
    event_files,
    figures,
    point_files,
    run_lines,
    saved_runs,
)
from graph_mode.plotting.run_table import table

FORMATS = ("png", "svg", "pdf")
WATCH_SECONDS = 2


def main(arguments=None):
    flags = parse_arguments(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A file name need not be text that this terminal can show.
        stream.reconfigure(errors="backslashreplace")
    if flags.show:
        figures.require_window()
    if flags.watch:
        watch(flags)
    found = saved_runs.find_event_files(flags.paths)
    with reading_progress(found) as read:
        runs = saved_runs.read_runs(found, flags.paths, report, read)
    plot(runs, flags, report)
    if flags.show:
        figures.show()
    return 0


def parse_arguments(arguments):
    parser = command_line.OneLineParser(description=__doc__)
    parser.add_argument(
        "paths",
        nargs="*",
        default=["runs"],
        metavar="RUNS",
        help="folders, event files or patterns (** for any depth) of runs (default: runs)",
    )
    parser.add_argument(
        "--tags",
        type=comma_list,
        default="loss,*_loss",
        help="which scalars to draw and export; patterns, with commas between them",
    )
    parser.add_argument(
        "--x",
        choices=("step", "relative", "wall"),
        default="step",
        help="the x axis: steps, time since a run began, or the clock (UTC, each run by itself)",
    )
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--log-y",
        action="store_true",
        default=None,
        help="logarithmic y axis (default: where all smoothed values are above 0 and the largest "
        f"is at least {figures.LOG_SPAN} times the smallest)",
    )
    scale.add_argument(
        "--linear-y", dest="log_y", action="store_false", default=None, help="linear y axis"
    )
    parser.add_argument(
        "--smoothing",
        type=smoothing_weight,
        default=0.95,
        metavar="WEIGHT",
        help="of TensorBoard's moving average, 0 (none) to 0.999; 0.95 calms the noise of batches "
        "and lags 20 of them behind, 0.99 lags 100",
    )
    parser.add_argument(
        "--group-by",
        type=comma_list,
        metavar="FLAGS",
        help="draw the mean of all runs with the same value of these training flags, with commas "
        "between them: learning_rate, or optimizer,batch_norm (default: all flags but the seed)",
    )
    parser.add_argument("--title", help="of every figure (default: what it shows)")
    parser.add_argument("--dpi", type=dots_per_inch, default=150, help="of PNG files, 20 to 1200")
    parser.add_argument(
        "--format",
        type=format_list,
        default="png",
        help="png, svg or pdf, or several with commas between them",
    )
    parser.add_argument(
        "--output-dir",
        default=os.path.join("runs", "figures"),
        metavar="FOLDER",
        help="where the figures go",
    )
    parser.add_argument("--csv", metavar="FILE", help="write all points, unsmoothed, as CSV")
    parser.add_argument("--json", metavar="FILE", help="write all points, unsmoothed, as JSON")
    repeat = parser.add_mutually_exclusive_group()
    repeat.add_argument(
        "--watch", action="store_true", help="go on, and redraw when a run has written more"
    )
    repeat.add_argument("--show", action="store_true", help="open the figures in windows, too")
    flags = parser.parse_args(arguments)
    if flags.x == "wall" and flags.group_by:
        parser.error("--x wall shows each run by itself: leave out --group-by, or use --x relative")
    return flags


def comma_list(text):
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise argparse.ArgumentTypeError("expected at least one name")
    return items


def format_list(text):
    formats = list(dict.fromkeys(comma_list(text.lower())))
    for name in formats:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"expected {', '.join(FORMATS)}, found {name!r}")
    return formats


def number_between(low, high, kind, text):
    try:
        number = kind(text)
    except ValueError:
        number = None
    # Written so that nan is refused.
    if number is None or not low <= number <= high:
        raise argparse.ArgumentTypeError(f"expected a number from {low} to {high}, found {text!r}")
    return number


smoothing_weight = functools.partial(number_between, 0, 0.999, float)
dots_per_inch = functools.partial(number_between, 20, 1200, int)


def report(line):
    print(f"note: {saved_runs.printable(line)}", file=sys.stderr)


def plot(runs, flags, report):
    """Draws and writes all that the flags ask for, and prints what was written and the table.

    Raises:
        CommandError: there is nothing to draw.
        OSError: a file cannot be written.
    """
    wanted = functools.partial(matches_any, flags.tags)
    plots = run_lines.plots_of(runs, wanted)
    if not plots:
        raise command_line.CommandError(nothing_to_draw(runs, flags))
    written = []
    for plot in plots:
        panel = run_lines.panel_of(plot, flags.x, flags.smoothing, flags.group_by, report)
        log_y = figures.spans_decade(panel.lines) if flags.log_y is None else flags.log_y
        if log_y:
            run_lines.report_not_positive(plot, report)
        figure = figures.draw(
            panel.lines,
            title=flags.title or panel.title,
            x_label=panel.x_label,
            y_label=panel.y_label,
            log_y=log_y,
            dates=flags.x == "wall",
            notes=panel.notes,
            window=flags.show,
        )
        for image_format in flags.format:
            path = os.path.join(flags.output_dir, f"{plot.file_name}.{image_format}")
            figures.save(figure, path, image_format, flags.dpi)
            written.append(path)
    written += plot_diagnostics(runs, flags)
    for path, write in ((flags.csv, point_files.write_csv), (flags.json, point_files.write_json)):
        if path:
            write(point_files.points(runs, wanted), path)
            written.append(path)
    for path in written:
        print(f"wrote {saved_runs.printable(path)}")
    print(table(plots))


def plot_diagnostics(runs, flags):
    """Draws what --diagnostics recorded, if any run did, over steps; returns the files' paths."""
    written = []
    for pair in diagnostic_lines.pairs_of(runs):
        for name, _, figure in diagnostic_figures.draw_all(pair):
            base = run_lines.safe_name(f"{pair.network}_{name}_{pair.label}")
            for image_format in flags.format:
                path = os.path.join(flags.output_dir, f"{base}.{image_format}")
                figures.save(figure, path, image_format, flags.dpi)
                written.append(path)
    return written


def matches_any(patterns, tag):
    return any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)


def nothing_to_draw(runs, flags):
    paths, tags = " ".join(flags.paths), ",".join(flags.tags)
    if not runs:
        return (
            f"found no event files in {paths}; expected what a training run writes: train first "
            "(python fc_train.py), or name the folder of your runs"
        )
    found = {tag for run in runs for scalars in run.scalars.values() for tag in scalars}
    if not found:
        return f"found no scalars in the event files of {paths}; expected tags like {tags}"
    names = ", ".join(sorted(found)[:20])
    return f"found no training scalar {tags} in {paths}; name one of these with --tags: {names}"


@contextlib.contextmanager
def reading_progress(found):
    """A context that gives read_event_file, with a progress bar if a person looks on."""
    if not sys.stderr.isatty():
        yield event_files.read_event_file
        return
    from tqdm import tqdm

    files = sum(len(files) for splits in found.values() for files in splits.values())
    with tqdm(total=files, desc="reading", unit=" files", leave=False) as bar:

        def read(path):
            bar.update()
            return event_files.read_event_file(path)

        yield read


def watch(flags):
    """Draws whenever a file of the runs has changed, until it is interrupted."""
    states = None
    cache = {}
    said = set()

    def report_once(line):
        if line not in said:
            said.add(line)
            report(line)

    while True:
        found = saved_runs.find_event_files(flags.paths)
        before, states = states, saved_runs.file_states(found)
        if states != before:
            read = functools.partial(read_if_changed, cache)
            runs = saved_runs.read_runs(found, flags.paths, report_once, read)
            try:
                plot(runs, flags, report_once)
            except command_line.CommandError as error:
                report_once(f"{error}; waiting")
            sys.stdout.flush()
        time.sleep(WATCH_SECONDS)


def read_if_changed(cache, path):
    """read_event_file(path), or what it gave before if the file is as it was then."""
    status = os.stat(path)
    state = (status.st_size, status.st_mtime_ns)
    if path not in cache or cache[path][0] != state:
        cache[path] = (state, event_files.read_event_file(path))
    return cache[path][1]


if __name__ == "__main__":
    command_line.run(main)
