"""The tables of docs/benchmarks.md and ablation.md, from the stored measurements."""

import statistics

import results
from environments import PROJECT
from peers import IDEAS, PEERS, READERS

from graph_mode.show.tables import markdown


def write():
    """Writes the tables that were measured into the pages, between the comments that name them."""
    for table, (name, section) in SECTIONS.items():
        stored = results.load(table)
        if stored:
            path = PROJECT / "docs" / name
            start, end = f"<!-- {table} -->\n", f"<!-- end of {table} -->"
            before, rest = path.read_text().split(start)
            content = section(stored["measurements"]) + foot(stored)
            path.write_text(f"{before}{start}\n{content}\n{end}{rest.split(end)[1]}")


def step_time(measurement):
    """Milliseconds: the median window after the first, which holds compilation and cold caches."""
    return statistics.median(measurement["windows_ms"][1:])


# Titles of columns, and their values.
WHOLE = "whole process, s", lambda m: m["process_seconds"]
STARTUP = "start-up, s", lambda m: m["startup_seconds"]
TRAINING = "training, s", lambda m: m["training_seconds"]
ACCURACY = "test accuracy, %", lambda m: 100 * m["accuracies"]["test"]
PEAK = "peak memory, MiB", lambda m: m["peak_megabytes"]
READING = "reading, s", lambda m: m["read_seconds"]
ALL_READING = "import and reading, s", lambda m: m["import_seconds"] + m["read_seconds"]


def steps_section(measurements):
    labels = [(label, step_time, group) for label, group in by_label(measurements).items()]
    fastest = comparison(PEERS, labels, summary=min)
    return f"{comparison(PEERS, labels)}\nThe fastest process of each:\n\n{fastest}"


def whole_section(measurements):
    startup = by_label((results.load("startup") or {"measurements": []})["measurements"])
    text = []
    for label, group in by_label(measurements).items():
        start = (*STARTUP, startup.get(label, []))
        text.append(titled(label, [(*WHOLE, group), start, (*PEAK, group), (*ACCURACY, group)]))
    return "\n".join(text)


def accuracy_section(measurements):
    return "\n".join(
        titled(label, [(*TRAINING, group), (*ACCURACY, group)])
        for label, group in by_label(measurements).items()
    )


def growth_section(measurements):
    return "\n".join(
        titled(title, [(label, value, group) for label, group in by_label(measurements).items()])
        for title, value in (("Peak memory, MiB", PEAK[1]), ("Milliseconds a step", step_time))
    )


def events_section(measurements):
    columns = [(*column, measurements) for column in (READING, ALL_READING, PEAK)]
    return comparison(READERS, columns)


def ablation_section(measurements):
    text = []
    for version, found in by_label(measurements, lambda m: m["versions"]["tensorflow"]).items():
        labels = by_label(found).items()
        columns = [(label.split(" (")[0], step_time, group) for label, group in labels]
        text.append(titled(f"TensorFlow {version}", columns, IDEAS))
    return "\n".join(text)


SECTIONS = {
    "steps": ("benchmarks.md", steps_section),
    "whole": ("benchmarks.md", whole_section),
    "accuracy": ("benchmarks.md", accuracy_section),
    "growth": ("benchmarks.md", growth_section),
    "events": ("benchmarks.md", events_section),
    "ablation": ("ablation.md", ablation_section),
}


def titled(title, columns, contestants=PEERS):
    return f"**{title}**\n\n{comparison(contestants, columns)}"


def comparison(contestants, columns, summary=statistics.median):
    """A Markdown table with a row for each of the `contestants` that was measured.

    Columns are (title, value of a measurement, measurements). A cell is the summary of the values,
    with their range and number, and its ratio to the one of the first row; percentages have none.
    """
    measured = {m["contestant"] for _, _, found in columns for m in found}
    rows = [[c.name] for c in contestants if c.name in measured]
    for title, value, found in columns:
        first = None
        for row in rows:
            values = [value(m) for m in found if m["contestant"] == row[0]]
            text = spread(values, summary)
            if values and "%" not in title:
                first = first or summary(values)
                text += f", {summary(values) / first:.2f} ×"
            row.append(text)
    return markdown(["", *(title for title, _, _ in columns)], rows) + "\n"


def spread(values, summary):
    """'median (lowest-highest; n = 5)', 'lowest' where that is the summary, or a dash."""
    if not values:
        return "-"
    text = number(summary(values))
    if len(values) > 1 and summary is statistics.median:
        text += f" ({number(min(values))}-{number(max(values))}; n = {len(values)})"
    return text


def by_label(measurements, label_of=lambda measurement: measurement["label"]):
    """{label: its measurements}, in the order measured."""
    groups = {}
    for measurement in measurements:
        groups.setdefault(label_of(measurement), []).append(measurement)
    return groups


def foot(stored):
    machine = stored["machine"]
    return (
        f"\n{machine['processor']}, {machine['cores']} cores, {machine['memory_gigabytes']} GiB, "
        f"{machine['system']}; {machine['date']}; load average before: {machine['load_average']}.\n"
    )


def number(value):
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.{1 if value >= 10 else 2}f}"
