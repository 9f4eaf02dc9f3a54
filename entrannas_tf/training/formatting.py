"""Values as text: durations, progress bars, tables in Markdown."""

# What the scores of a test are called; others are not shown.
SCORES = {
    "test_accuracy": "accuracy",
    "test_top5_accuracy": "top-5",
    "test_miou": "mIoU",
    "test_pixel_accuracy": "pixel accuracy",
}

_BAR_WIDTH = 12


def duration(seconds):
    """Returns a time as people write it: "0:07", "12:34" or "1:02:03"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}"


def bar(done, total):
    """Returns a bar such as "[====>.......]" and the count "4/11"."""
    full = _BAR_WIDTH * done // total
    head = ">" if full < _BAR_WIDTH else ""
    return f"[{'=' * full + head:.<{_BAR_WIDTH}}] {done}/{total}"


def table(header, rows):
    """Returns a table in Markdown, in which "/" stands for "|".

    Args:
        header: Sequence of the columns' names.
        rows: Iterable of sequences of as many texts or numbers.
    """
    first, *others = (
        f"| {' | '.join(str(v).replace('|', '/') for v in values)} |"
        for values in (header, *rows)
    )
    return "\n".join([first, "|---" * len(header) + "|", *others])


def scores(values, deviations=None):
    """Returns scores as a few words, such as "92.00%, top-5 99.00%".

    Args:
        values: {name: number}; only names of `SCORES` are shown.
        deviations: {name: number or None}, their standard deviations.
    """
    shown = []
    for name, title in SCORES.items():
        if name in values:
            text = f"{title if shown else ''} {values[name]:.2%}"
            if deviations and deviations[name] is not None:
                text += f" +- {100 * deviations[name]:.2f}"
            shown.append(text.strip())
    return ", ".join(shown)
