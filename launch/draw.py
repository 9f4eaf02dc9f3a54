"""Draws the cells of a genotype, or makes the film of a search.

python -m launch.draw --genotype=runs/c10/genotype.json --output=cells/
python -m launch.draw --workdir=runs/c10 --output=search.gif
"""

from absl import flags

from entrannas_tf.search import pictures
from entrannas_tf.training import command_line

_GENOTYPE = flags.DEFINE_string(
    "genotype",
    None,
    "Genotype to draw: a file, the workdir of a search that has ended, or the "
    "name of a published one, such as DARTS_V2.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Workdir of the search to film; it need not have ended.",
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "With --genotype the folder of the pictures, made if it is not there; with "
    "--workdir the file of the film, which ends in .gif.",
)


def main():
    paths = pictures.write(_GENOTYPE.value, _WORKDIR.value, _OUTPUT.value)
    print("\n".join(paths))


if __name__ == "__main__":
    command_line.run(main, required=("output",))
