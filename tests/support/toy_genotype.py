"""A genotype whose network is built in seconds."""

from entrannas_tf.architecture import genotypes
from entrannas_tf.training import files

_CELL = genotypes.make_cell(
    [
        [("sep_conv_3x3", 0), ("max_pool_3x3", 1)],
        [("skip_connect", 1), ("dil_conv_3x3", 2)],
    ]
)
GENOTYPE = genotypes.Genotype(_CELL, _CELL)


def write(directory):
    """Writes it as a file; returns its path."""
    path = directory / "toy_genotype.json"
    files.write_text(path, genotypes.to_json(GENOTYPE))
    return str(path)
