"""docs/benchmarks.md, from the stored measurements."""

import statistics

import results
from environments import PROJECT
from peers import PEERS, READERS

PAGE = PROJECT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

How this project compares with what a user would pick instead. `make benchmark` gives each program a
virtual environment of its own with the real released packages, measures, and writes this page;
`.venv/bin/python benchmarks/run.py --only steps` measures one table. The measured programs are in
[benchmarks/peers/](../benchmarks/peers/), with the exact versions of their packages, and the
measurements in [benchmarks/results/](../benchmarks/results/). What each of this project's own ideas
brings is in [ablation.md](ablation.md), and what was tried and not kept in [tried.md](tried.md).

All programs train the same networks on MNIST: batches of 128, Adam at 0.002, Glorot uniform
kernels, hidden layers without bias, batch norm with momentum 0.99 and epsilon 0.001, mean sigmoid
cross-entropy. This project and the published program write the loss of every step as event files;
the others do not. Programs run one at a time as processes of their own, in turn (A B A B), with
their own default number of threads. A figure is a median over n processes, with the lowest and the
highest in brackets; "×" is its ratio to the figure in the first row: above 1, the first row needs
less.
"""


def write():
    """Writes the page; a table that was never measured says so."""
    sections = [HEAD]
    for title, table, section in (
        ("A training step", "steps", steps_section),
        ("A whole process", "whole", whole_section),
        ("Time to a test accuracy", "accuracy", accuracy_section),
        ("Memory as the data grows", "growth", growth_section),
        ("Reading event files", "events", events_section),
    ):
        stored = results.load(table)
        text = section(stored["measurements"]) + foot(stored) if stored else "Not measured yet.\n"
        sections.append(f"## {title}\n\n{text}")
    PAGE.write_text("\n".join(sections))


def steps_section(measurements):
    labels = [(label, group, step_time) for label, group in by_label(measurements).items()]
    return (
        "Milliseconds a step, evaluation not counted. The figure of a process is the median of its "
        "windows of 100 steps (conv: 25, this project 100); the first window, with compilation, is "
        "left out.\n\n"
        + comparison(PEERS, labels)
        + "\nThe fastest process of each:\n\n"
        + comparison(PEERS, labels, summary=min)
    )


def whole_section(measurements):
    text = (
        "Seconds from the start of the interpreter to its end, 3,000 steps with batch norm: "
        "importing, loading, compiling, training, validating every 500 steps, validation and test "
        "at the end. Start-up is the time to the end of the first training step. Memory is the "
        "peak resident set. Keras trains 7 epochs cut off at 3,000 steps and validates after "
        "each.\n"
    )
    startup = by_label((results.load("startup") or {"measurements": []})["measurements"])
    for label, group in by_label(measurements).items():
        columns = [
            ("whole process, s", group, lambda m: m["process_seconds"]),
            ("start-up, s", startup.get(label, []), lambda m: m["startup_seconds"]),
            ("peak memory, MiB", group, peak),
            ("test accuracy, %", group, test_accuracy),
        ]
        text += f"\n**{label}**\n\n" + comparison(PEERS, columns)
    return text


def accuracy_section(measurements):
    text = (
        "Seconds of training, with compilation. Importing, loading and evaluating are not in it: "
        "add the start-up above. All of them train the networks of `--fast` by its recipe: the "
        "learning rate rises to 0.02 and falls again, and batch norm's momentum is 0.9. Each "
        "process has another seed.\n"
    )
    for label, group in by_label(measurements).items():
        columns = [
            ("training, s", group, lambda m: m["training_seconds"]),
            ("test accuracy, %", group, test_accuracy),
        ]
        text += f"\n**{label}**\n\n" + comparison(PEERS, columns)
    return text


def growth_section(measurements):
    text = "fc with batch norm on more and more training images: MNIST's own, again and again.\n"
    for title, value in (("Peak memory, MiB", peak), ("Milliseconds a step", step_time)):
        columns = [(label, group, value) for label, group in by_label(measurements).items()]
        text += f"\n**{title}**\n\n" + comparison(PEERS, columns)
    return text


def events_section(measurements):
    columns = [
        ("reading, s", measurements, lambda m: m["read_seconds"]),
        ("import and reading, s", measurements, lambda m: m["import_seconds"] + m["read_seconds"]),
        ("peak memory, MiB", measurements, peak),
    ]
    text = f"One file of {measurements[0]['label']}, read in a fresh process.\n\n"
    return text + comparison(READERS, columns)


def step_time(measurement):
    """Milliseconds: the median window after the first, which holds compilation and cold caches."""
    return statistics.median(measurement["windows_ms"][1:])


def peak(measurement):
    return measurement["peak_megabytes"]


def test_accuracy(measurement):
    return 100 * measurement["accuracies"]["test"]


def comparison(contestants, columns, summary=statistics.median):
    """A Markdown table with a row for each of the `contestants` that was measured.

    Columns are (title, measurements, value of a measurement). A cell is the summary of the values,
    with their range and number, and its ratio to the one of the first row; percentages have none.
    """
    measured = {m["contestant"] for _, found, _ in columns for m in found}
    rows = [[c.name] for c in contestants if c.name in measured]
    for title, found, value in columns:
        first = None
        for row in rows:
            values = [value(m) for m in found if m["contestant"] == row[0]]
            text = spread(values, summary)
            if values and "%" not in title:
                first = first or summary(values)
                text += f", {summary(values) / first:.2f} ×"
            row.append(text)
    lines = [[""] + [title for title, _, _ in columns], ["---"] * (1 + len(columns))] + rows
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def spread(values, summary):
    """'median (lowest-highest; n = 5)', 'lowest' where that is the summary, or a dash."""
    if not values:
        return "-"
    text = number(summary(values))
    if len(values) > 1 and summary is statistics.median:
        text += f" ({number(min(values))}-{number(max(values))}; n = {len(values)})"
    return text


def by_label(measurements):
    """{label: its measurements}, in the order measured."""
    groups = {}
    for measurement in measurements:
        groups.setdefault(measurement["label"], []).append(measurement)
    return groups


def foot(stored):
    machine = stored["machine"]
    return (
        f"\n{machine['processor']}, {machine['cores']} cores, {machine['memory_gigabytes']} GiB, "
        f"{machine['system']}; {machine['date']}; load average before: {machine['load_average']}.\n"
    )


def number(value):
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
