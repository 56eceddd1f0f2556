"""Markdown tables of spreads: a row for each program, a column for each measure."""

import claims
import results
from processes import CONTESTANTS

OURS = claims.OURS


def table(head, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head)] + rows]
    return "\n".join(lines) + "\n"


def measured_on(stored, remark=""):
    machine = stored["machine"]
    return (
        f"\n{machine['processor']}, {machine['cores']} cores, {machine['memory_gigabytes']} GiB, "
        f"{machine['system']}; {machine['date']}; load average before: "
        f"{machine['load_average']}. {remark}\n"
    )


def number(value):
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def figure(found, reference=None):
    """'median (low-high), × ours' of a spread, or a dash where nothing was measured."""
    if not found:
        return "-"
    text = f"{number(found['median'])} ({number(found['low'])}-{number(found['high'])})"
    return text + (f", {found['median'] / reference['median']:.2f} ×" if reference else "")


def grouped(measurements, values):
    """{(label, contestant): spread of values(measurements of that pair)}; failures left out."""
    groups = {}
    for measurement in measurements:
        if "error" not in measurement:
            key = measurement.get("label"), measurement["contestant"]
            groups.setdefault(key, []).append(measurement)
    return {key: results.spread(values(found)) for key, found in groups.items()}


def contestant_table(columns):
    """A row for each contestant; columns are (title, {contestant: spread}), with ratios to ours."""
    rows = []
    for contestant in CONTESTANTS:
        if any(contestant in spreads for _, spreads in columns):
            cells = [figure(spreads.get(contestant), spreads.get(OURS)) for _, spreads in columns]
            rows.append([contestant] + cells)
    return table(["program"] + [title for title, _ in columns], rows)


def column(measurements, label, values):
    spreads = grouped([m for m in measurements if m.get("label") == label], values)
    return {contestant: spread for (_, contestant), spread in spreads.items()}


def processes_label(measurements):
    counts = {}
    for m in measurements:
        if "error" not in m:
            key = str(m.get("label")), m["contestant"]
            counts[key] = counts.get(key, 0) + 1
    low, high = min(counts.values()), max(counts.values())
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def versions(measurements):
    """Which versions were measured, one line a program."""
    lines = {}
    for measurement in measurements:
        if "error" not in measurement:
            found = ", ".join(f"{k} {v}" for k, v in sorted(measurement["versions"].items()))
            lines.setdefault(found, []).append(measurement["contestant"])
    return "\n" + "".join(
        f"- {versions}: {'; '.join(dict.fromkeys(names))}\n" for versions, names in lines.items()
    )


def plain_table(measurements, columns):
    """A row for each contestant in the order measured; columns are (title, values, with ratio)."""
    spreads = [
        (title, {c: s for (_, c), s in grouped(measurements, values).items()}, ratio)
        for title, values, ratio in columns
    ]
    names = dict.fromkeys(m["contestant"] for m in measurements if "error" not in m)
    first = next(iter(names))
    rows = [
        [name]
        + [
            figure(found.get(name), found.get(first) if ratio else None)
            for _, found, ratio in spreads
        ]
        for name in names
    ]
    return table(["reader"] + [title for title, _, _ in spreads], rows)
