"""Values as text: durations, progress bars, tables in Markdown."""

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
