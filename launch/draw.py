"""Draws the cells of a genotype, a film of a search, or predicted masks.

python -m launch.draw --genotype=runs/c10/genotype.json --output=cells/
python -m launch.draw --workdir=runs/c10 --output=search.gif
python -m launch.draw --workdir=runs/seg --output=masks/
"""

from absl import flags

from entrannas_tf.search import pictures
from entrannas_tf.training import command_line

_GENOTYPE = flags.DEFINE_string(
    "genotype",
    None,
    "Genotype to draw: a file, the workdir of a finished search, or a "
    "published name such as DARTS_V2.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Workdir of the search to make a film of, which may still be running, or "
    "of a finished segmentation.",
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Directory of the pictures, created if missing; for a film its file, "
    "ending in .gif.",
)


def main():
    paths = pictures.write(_GENOTYPE.value, _WORKDIR.value, _OUTPUT.value)
    print("\n".join(paths))


if __name__ == "__main__":
    command_line.run(main, required=("output",))
