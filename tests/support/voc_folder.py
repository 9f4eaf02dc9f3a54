"""A small folder in Pascal VOC 2012's layout, of made photographs.

The colour of a pixel is that of its class, black where it is not labelled, so
that photographs can be compared with their masks.
"""

import numpy as np
from PIL import Image

CLASSES = ("sky", "road", "car")
COLORS = ((20, 90, 200), (120, 120, 120), (250, 10, 40))  # of photographs
PALETTE = ((1, 2, 3), (40, 50, 60), (7, 8, 9))  # of masks
TRAIN = tuple(f"t{number}" for number in range(6))
VAL = tuple(f"v{number}" for number in range(3))
SIZES = ((30, 40), (36, 24))  # (height, width) of even and odd numbers


def make_mask(number, num_classes=3):
    """Returns stripes of the classes with a square of 255: uint8 [H, W]."""
    height, width = SIZES[number % 2]
    rows, columns = np.mgrid[:height, :width]
    mask = ((rows // 5 + columns // 7 + number) % num_classes).astype(np.uint8)
    mask[4:8, 4:8] = 255
    return mask


def paint(mask):
    """Returns the photograph of a mask, black at 255: uint8 [H, W, 3]."""
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(COLORS)] = COLORS
    return colors[mask]


def save_mask(path, mask, palette=PALETTE):
    """Writes a palette PNG, or a grey one where the palette is None."""
    image = Image.fromarray(mask)
    if palette is not None:
        # Pillow would save a short palette in bits too few for 255.
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(palette)] = palette
        image.putpalette(colors.ravel().tolist())
    image.save(path)


def write_list(root, name, ids):
    path = root / "ImageSets" / "Segmentation" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{i}\n" for i in ids))


def write(
    root,
    *,
    classes=CLASSES,
    palette=PALETTE,
    mask_folder="SegmentationClass",
    suffix=".png",
    num_classes=3,
):
    """Writes six photographs to train on and three to evaluate on.

    Args:
        root: Folder to write them in.
        classes: Lines of classes.txt; None for no such file.
        palette: Of the masks, [num_classes, 3]; None for grey ones.
        mask_folder: Name of the masks' folder.
        suffix: Of the photographs: PNG keeps the colours as they are.
        num_classes: Number of classes in the masks.
    """
    for folder in ("JPEGImages", mask_folder):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(TRAIN + VAL):
        mask = make_mask(number, num_classes)
        photograph = Image.fromarray(paint(mask))
        photograph.save(root / "JPEGImages" / f"{name}{suffix}")
        save_mask(root / mask_folder / f"{name}.png", mask, palette)
    write_list(root, "train", TRAIN)
    write_list(root, "val", VAL)
    if classes is not None:
        (root / "classes.txt").write_text("\n".join(classes))
