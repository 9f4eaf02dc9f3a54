"""Tables in Markdown."""


def table(header, rows):
    """Returns the lines of a table, a list.

    Args:
        header: Sequence of the columns' names.
        rows: Iterable of sequences of as many texts or numbers.
    """
    first, *others = (
        f"| {' | '.join(map(str, line))} |" for line in (header, *rows)
    )
    return [first, "|---" * len(header) + "|", *others]
