"""A search's course in a line of text."""

from entrannas_tf.architecture import genotypes

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


def course(metrics, temperature, genotype):
    """Returns losses, accuracies, temperature and counts of connections.

    Args:
        metrics: Dict that holds `loss`, `accuracy`, `validation_loss` and
            `validation_accuracy`.
        temperature: tau of Eq. 5.
        genotype: A `Genotype`.
    """
    connections = "+".join(
        str(genotypes.num_connections(cell))
        for cell in (genotype.normal, genotype.reduction)
    )
    skips = genotypes.num_skip_connections(genotype.normal)
    return (
        f"loss {metrics['loss']:.3f} acc {metrics['accuracy']:.1%}, "
        f"val {metrics['validation_loss']:.3f} "
        f"{metrics['validation_accuracy']:.1%}, tau {temperature:.3g}, "
        f"{connections} connections, {skips} skip{'' if skips == 1 else 's'}"
    )
