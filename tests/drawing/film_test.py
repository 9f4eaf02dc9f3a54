import os

import numpy as np
import pytest
from PIL import Image

from entrannas_tf.architecture import genotypes, published, search_space
from entrannas_tf.drawing import artist, film, geometry

DARTS_V2 = published.load_genotype("DARTS_V2")
LAYOUT = geometry.of(4)
PRIMITIVES = search_space.STANDARD.operations


def make_frames(
    num_frames, primitives=("none", *PRIMITIVES), genotype=DARTS_V2
):
    rng, space = np.random.default_rng(0), genotype.space
    shape = (len(space.edges), len(primitives))
    return [
        film.Frame(
            genotype,
            {kind: rng.random(shape) for kind in space.kinds},
            primitives,
            f"epoch {number}",
        )
        for number in range(num_frames)
    ]


def test_film_opens_with_all_frames(tmp_path):
    path = tmp_path / "search.gif"
    film.save(make_frames(3), path, frame_seconds=0.2)
    assert os.listdir(tmp_path) == ["search.gif"]
    with Image.open(path) as image:
        assert image.n_frames == 3
        durations, pixels = [], []
        for number in range(3):
            image.seek(number)
            durations.append(image.info["duration"])
            pixels.append(np.asarray(image.convert("RGB")))
        assert image.info["loop"] == 0
    assert durations == [200, 200, 1200]
    assert np.any(pixels[0] != pixels[1])
    np.testing.assert_array_equal(pixels[2][0, 0], 255)
    height, width = pixels[0].shape[:2]
    assert height / width == pytest.approx(
        (2 * LAYOUT.height + 30) / LAYOUT.width, rel=0.01
    )


@pytest.mark.parametrize(
    ("inputs", "inner", "kinds"),
    [(1, 3, ("normal",)), (2, 5, ("normal", "reduction"))],
)
def test_film_of_a_space_of_ones_own(tmp_path, inputs, inner, kinds):
    names = ("skip_connect", "conv_7x1_1x7")
    space = search_space.make("mine", names, inputs, inner, kinds)
    frames = make_frames(2, names, genotypes.draw(0, space))
    path = tmp_path / "search.gif"
    film.save(frames, path)
    layout = geometry.of(inner, inputs)
    with Image.open(path) as image:
        assert image.n_frames == 2
        assert image.height / image.width == pytest.approx(
            (len(kinds) * layout.height + 30) / layout.width, rel=0.01
        )
        colors = np.unique(
            np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0
        )
    wanted = artist.tint(artist.color_of(names[1]), 1.0) * 255
    assert np.abs(colors - wanted).max(axis=1).min() < 1


def test_film_fades_connections_with_their_coefficients(tmp_path):
    frame = make_frames(1)[0]
    means = []
    for value in (0.0, 0.5, 1.0):
        kinds = ("normal", "reduction")
        coefficients = {kind: np.full([14, 8], value) for kind in kinds}
        path = tmp_path / "search.gif"
        film.save([frame._replace(coefficients=coefficients)], path)
        with Image.open(path) as image:
            means.append(np.asarray(image.convert("L")).mean())
    assert means[0] > means[1] > means[2]


def test_film_leaves_no_label_of_an_earlier_frame(tmp_path):
    frames = make_frames(2)
    empty = genotypes.Genotype(((), (), (), ()), ((), (), (), ()))
    last = frames[1]._replace(genotype=empty)
    film.save([frames[0], last], tmp_path / "both.gif")
    film.save([last], tmp_path / "last.gif")
    with Image.open(tmp_path / "both.gif") as image:
        image.seek(1)
        after = np.asarray(image.convert("RGB"))
    with Image.open(tmp_path / "last.gif") as image:
        np.testing.assert_array_equal(after, np.asarray(image.convert("RGB")))


def test_film_refuses_what_it_cannot_show(tmp_path):
    path = tmp_path / "search.gif"
    with pytest.raises(ValueError, match="at least one frame"):
        film.save([], path)
    first, second = make_frames(2)
    wrong = second._replace(
        coefficients={**second.coefficients, "reduction": np.ones([14, 7])}
    )
    message = r"Frame 1 has reduction .* \(14, 7\); expected \(14, 8\)"
    with pytest.raises(ValueError, match=message):
        film.save([first, wrong], path)
    nasnet = first._replace(genotype=published.load_genotype("NASNet"))
    with pytest.raises(ValueError, match=r"5 intermediate .* expected 4"):
        film.save([nasnet], path)
    others = search_space.STANDARD._replace(name="mine")
    other = second._replace(genotype=DARTS_V2._replace(space=others))
    with pytest.raises(ValueError, match="Frame 1 has the search space"):
        film.save([first, other], path)
    with pytest.raises(ValueError, match="Frame 1 has the primitives"):
        film.save([first, *make_frames(1, PRIMITIVES)], path)
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_behind_when_writing_fails(monkeypatch, tmp_path):
    def refuse(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        film.save(make_frames(1), tmp_path / "search.gif")
    assert os.listdir(tmp_path) == []


def test_a_failed_film_leaves_the_former_one(monkeypatch, tmp_path):
    path = tmp_path / "search.gif"
    film.save(make_frames(1), path)
    former = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda source, target: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            film.save(make_frames(2), path)
    assert path.read_bytes() == former
    assert os.listdir(tmp_path) == ["search.gif"]
