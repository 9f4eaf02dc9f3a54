"""Handwritten digits that come with scikit-learn, with nothing to download.

1,797 grey images of 8x8 pixels (UCI, optical recognition of handwritten
digits). A search on them takes minutes on a laptop.
"""

import numpy as np

from entrannas_tf.data import source

_NUM_TEST = 360
_SPLIT_SEED = 0
_MAX_LEVEL = 16  # the bundled images count ink in steps of 0 to 16

# A network halves its input twice; 8x8 would end at 2x2 pixels.
_REPEAT = 2


def load():
    """Loads the digits, 1,437 to train on and 360 to test on.

    The split is fixed and stratified. The images are enlarged to 16x16 by
    repeating each pixel, and scaled from 0..16 to 0..255.

    Returns:
        (train, test), two `ImageSource` of image shape (16, 16, 1). Both
        carry the mean and standard deviation of the training images.
    """
    # Slow to import, and needed for this data set only.
    from sklearn import datasets, model_selection  # noqa: PLC0415

    digits = datasets.load_digits()
    images = np.rint(digits.images * (255.0 / _MAX_LEVEL)).astype(np.uint8)
    images = images.repeat(_REPEAT, axis=1).repeat(_REPEAT, axis=2)[..., None]
    names = tuple(str(name) for name in digits.target_names)
    train, test = model_selection.train_test_split(
        np.arange(len(images)),
        test_size=_NUM_TEST,
        random_state=_SPLIT_SEED,
        stratify=digits.target,
    )
    mean, std = source.statistics(images[train])
    return tuple(
        source.from_arrays(
            name, images[chosen], digits.target[chosen], names, mean, std
        )
        for name, chosen in (("digits/train", train), ("digits/test", test))
    )
