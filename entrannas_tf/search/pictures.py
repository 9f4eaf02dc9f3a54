"""The pictures that a user asks for: of a genotype, or of a run."""

import importlib
import os

from entrannas_tf.architecture import published
from entrannas_tf.drawing import cells as cell_drawing
from entrannas_tf.search import results as search_results
from entrannas_tf.training import command_line, workdirs

_FILM = ".gif"
_PICTURES = (".dot", ".svg", ".png")


def write(genotype, workdir, output):
    """Writes the cells of a genotype, or what a run has to show.

    That is the film of a search, or photographs with the masks that a
    segmentation predicts.

    Exactly one of `genotype` and `workdir` must be given.

    Args:
        genotype: The genotype to draw, as `published.load_genotype` takes it;
            or None.
        workdir: Directory of the search to film, which need not have ended, or
            of a finished segmentation; or None.
        output: Path of the folder of pictures, or of the film, which ends in
            .gif. Folders are made if they are not there.

    Returns:
        List of the paths of the files that were written.

    Raises:
        ValueError: If both or neither are given, the output does not suit,
            there is no such genotype, or the search has no epoch.
        OSError: If a file cannot be read or written.
    """
    if bool(genotype) == bool(workdir):
        came = "both" if genotype else "neither"
        raise ValueError(
            f"Got {came} of --genotype and --workdir; expected --genotype to "
            "draw the cells of a genotype, or --workdir for the film of a "
            "search or the masks of a segmentation."
        )
    suffix = os.path.splitext(output)[1].lower()
    if genotype:
        return _write_cells(genotype, output, suffix)
    if workdirs.read_member(workdir, "task", None) == "segmentation":
        with command_line.quiet_loading():
            # It loads TensorFlow, which the other pictures do without.
            masks = importlib.import_module("entrannas_tf.retraining.masks")
        return masks.draw_masks(workdir, output)
    return _write_film(workdir, output, suffix)


def _write_cells(where, folder, suffix):
    if suffix in (_FILM, *_PICTURES):
        raise ValueError(
            f"The output {folder!r} ends in {suffix}; expected a folder, such "
            "as cells/, for the pictures of a genotype's two cells. A film "
            "needs --workdir."
        )
    genotype = published.load_genotype(where)
    return cell_drawing.draw(
        genotype, folder, published.name_of(where).removesuffix(".json")
    )


def _write_film(workdir, path, suffix):
    if suffix != _FILM:
        raise ValueError(
            f"The output {path!r} does not end in {_FILM}; expected a file "
            "such as search.gif for the film of a search. Its cells need "
            "--genotype."
        )
    search_results.write_film(workdir, path)
    return [path]
