"""Tables: aligned columns for a terminal, Markdown for pages."""


def aligned(rows, numbers=()):
    """Rows of strings as lines of aligned columns; the columns in `numbers` end at the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]

    def cell(index, text):
        return text.rjust(widths[index]) if index in numbers else text.ljust(widths[index])

    return "\n".join("  ".join(cell(*each) for each in enumerate(row)).rstrip() for row in rows)


def markdown(heads, rows):
    """A table of Markdown: heads [str], rows of values, each shown by str()."""
    lines = [heads, ["---"] * len(heads), *rows]
    text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    return text.replace("| --- " * len(heads) + "|", "|" + "---|" * len(heads), 1)
