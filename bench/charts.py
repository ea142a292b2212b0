"""Draws what a run found, for the README: an SVG for each figure of interest, and a table."""

import os
from xml.sax.saxutils import escape

import report

# measure, figure, file, title. For each of them less is better, but for speed.
CHARTS = [
    ("echo", "round trip", "echo", "A key and its echo"),
    ("flood", "ascii: speed", "flood-log", "cat of a log, attached"),
    ("flood", "build: speed", "flood-build", "cat of coloured build output, attached"),
    ("flood", "utf8: speed", "flood-utf8", "cat of UTF-8, attached"),
    ("detached-flood", "ascii: time for 100 MB", "detached", "100 MB of log, nobody attached"),
    ("interrupt", "1 MB/s terminal: marker shown", "interrupt",
     "Ctrl-C in a flood until it shows, on a terminal that takes 1 MB/s"),
]

WIDTH, LABELS, VALUES, ROW, HEAD = 640, 90, 110, 24, 40


def bars(title, unit, rows):
    """A bar chart: (peer, value) in the order given; psess stands out."""
    known = [value for _, value in rows if isinstance(value, (int, float))]
    most = max(known, default=0) or 1
    height = HEAD + ROW * len(rows) + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="system-ui, sans-serif" font-size="13">',
        "<style>text{fill:#24292f}.bar{fill:#8c959f}.psess{fill:#0969da}"
        "@media (prefers-color-scheme: dark)"
        "{text{fill:#e6edf3}.bar{fill:#6e7681}.psess{fill:#4493f8}}</style>",
        f'<text x="0" y="18" font-weight="600">{escape(title)}, {escape(unit)}</text>',
    ]
    for index, (peer, value) in enumerate(rows):
        top = HEAD + ROW * index
        kind = "psess" if peer == "psess" else "bar"
        known_value = isinstance(value, (int, float))
        length = (WIDTH - LABELS - VALUES) * value / most if known_value else 0
        shown = report.number(value) if known_value else str(value)
        out += [
            f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(peer)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{length:.1f}"'
            f' height="{ROW - 6}" rx="2"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{top + 14}">{escape(shown)}</text>',
        ]
    return "\n".join(out + ["</svg>"]) + "\n"


def markdown(meta, records, base):
    """All medians, a line for each figure and a column for each peer."""
    peers = [name for name in meta["peers"]]
    lines = [
        f"Medians of interleaved rounds, {meta['system']}, {meta['cpus']} CPUs,"
        f" load {meta['load'][0]}, {meta['when']}; × {base} in brackets.",
        "",
        "| | " + " | ".join(peers) + " |",
        "| --- |" + " ---: |" * len(peers),
    ]
    for record in records:
        for figure in record.figures.values():
            cells = [cell(figure, peer, base) for peer in peers]
            lines.append(f"| {record.name}: {figure.name}, {figure.unit} | "
                         + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(figure, peer, base):
    if peer not in figure.rounds:
        return ""
    row = figure.row(peer, base)
    shown = report.number(row["median"])
    if peer == base or row["ratio"] is None:
        return shown
    return f"{shown} ({report.number(row['ratio'])})"


def write(folder, meta, records, base):
    """Replaces the charts and the table in `folder` by those of this run."""
    os.makedirs(folder, exist_ok=True)
    found = {record.name: record for record in records}
    for measure, name, file, title in CHARTS:
        figure = found[measure].figures.get(name) if measure in found else None
        if figure is None:
            continue
        rows = [(peer, report.plain(figure.row(peer, base)["median"])) for peer in figure.rounds]
        with open(os.path.join(folder, f"{file}.svg"), "w") as f:
            f.write(bars(title, figure.unit, rows))
    with open(os.path.join(folder, "table.md"), "w") as f:
        f.write(markdown(meta, records, base))
