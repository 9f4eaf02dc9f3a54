"""The weights that a segmentation network's backbone begins with."""

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile
from typing import NamedTuple

import keras
import numpy as np

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.data import imagenet
from entrannas_tf.networks import porting, segmentation
from entrannas_tf.networks import target as target_network
from entrannas_tf.retraining import trained
from entrannas_tf.training import checkpoints, files, workdirs

FILE = "backbone.json"  # In the workdir of the segmentation.

_KERAS, _ARRAYS, _TORCH = ".keras", ".npz", (".pt", ".pth")
_NUM_NAMED = 3  # layers that an error shows
_EXPECTED = (
    "expected the workdir of a finished retraining, a .keras file, or a state "
    "dict of DARTS as .npz, .pt or .pth"
)

# What Keras and NumPy raise for a file of another kind.
_NOT_LOADED = (
    EOFError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)


class Weights(NamedTuple):
    """The weights of a backbone.

    Attributes:
        where: Where they came from, as the user said it.
        arrays: {name of a layer: list of arrays}.
        mean: Floats [C], of the images that trained them, scaled to [0, 1];
            None if unknown.
        std: Floats [C], the standard deviation of these; None if unknown.
    """

    where: str
    arrays: dict
    mean: tuple | None
    std: tuple | None

    @property
    def description(self):
        """Their number and where they came from, as a text."""
        count = sum(a.size for layer in self.arrays.values() for a in layer)
        return f"{count} weights from {self.where}"

    def normalize(self, data):
        """Returns `datasets.RetrainData` normalized as the weights need it."""
        if self.mean is None:
            return data
        statistics = {
            "mean": np.asarray(self.mean, np.float32),
            "std": np.asarray(self.std, np.float32),
        }
        return dataclasses.replace(
            data,
            source=dataclasses.replace(data.source, **statistics),
            test_source=dataclasses.replace(data.test_source, **statistics),
        )

    def put(self, network):
        """Copies them into the backbone of a segmentation network."""
        for layer in network.layers:
            if layer.name in self.arrays:
                layer.set_weights(self.arrays[layer.name])

    def write(self, workdir):
        """Writes where they came from to the workdir of a segmentation."""
        path = os.path.join(workdir, FILE)
        files.write_text(path, json.dumps(self._record(), indent=2) + "\n")

    def _record(self):
        digest = hashlib.sha256()
        for name, arrays in sorted(self.arrays.items()):
            digest.update(name.encode())
            for array in arrays:
                digest.update(np.ascontiguousarray(array).tobytes())
        return {"from": self.where, "sha256": digest.hexdigest()}


def check(workdir, weights):
    """Raises ValueError if a workdir's network began with other weights.

    Args:
        workdir: Directory of a training, which need not exist.
        weights: `Weights`, or None for random ones.
    """
    path, there = os.path.join(workdir, FILE), None
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            there = json.load(file)
    elif weights is None or not _is_trained(workdir):
        return
    here = weights and weights._record()
    if (there or {}).get("sha256") != (here or {}).get("sha256"):
        came = here["from"] if here else "random weights"
        began = there["from"] if there else "random weights"
        raise ValueError(
            f"{workdir} holds a network whose backbone began with {began}, and "
            f"here are {came}. Choose another --workdir, or go back to the "
            "same --backbone to resume it."
        )


def _is_trained(workdir):
    """Whether a workdir has a checkpoint, perhaps of one run of several."""
    found = pathlib.Path(workdir).glob(f"**/{checkpoints.DIRECTORY}/*")
    return next(found, None) is not None


def read(where, config, cells):
    """Returns the `Weights` of the backbone of a configuration.

    Args:
        where: Workdir of a finished retraining of the same genotype, cells
            and channels; a .keras file of such a network, of an export, or of
            a ResNet-50 of `keras.applications`; or a state dict of DARTS's
            `NetworkImageNet`, as NumPy's .npz or, with PyTorch, as .pt or .pth.
        config: A `segment_config.SegmentConfig`.
        cells: The `genotypes.Genotype`; None for ResNet-50.

    Raises:
        ValueError: If there are no such weights, or they do not fit.
        OSError: If a file cannot be read.
    """
    where = os.fspath(where)
    suffix = os.path.splitext(where)[1].lower()
    if os.path.isdir(where):
        network, mean, std = _read_workdir(where, config, cells)
    elif not os.path.exists(where):
        raise ValueError(f"There is no backbone {where}; {_EXPECTED}.")
    elif suffix == _KERAS:
        network, mean, std = _read_keras(where)
    elif suffix in (_ARRAYS, *_TORCH):
        network = _read_state(where, suffix, config, cells)
        mean, std = imagenet.MEAN, imagenet.STD
    else:
        raise ValueError(f"The backbone {where} is no such file; {_EXPECTED}.")
    arrays = _arrays(where, network, config, cells)
    return Weights(where, arrays, mean and tuple(mean), std and tuple(std))


def _arrays(where, network, config, cells):
    """Returns {layer: arrays} of the backbone; raises if they do not fit."""
    if cells is None:
        backbone = segmentation.ResNet50()
    else:
        backbone = segmentation.Backbone(
            cells,
            num_cells=config.network.num_cells,
            init_channels=config.network.init_channels,
        )
    there = {layer.name: layer for layer in network.layers}
    arrays, wrong = {}, []
    for layer in backbone.layers:
        if not layer.weights:
            continue
        found = there[layer.name].get_weights() if layer.name in there else []
        expected = [tuple(w.shape) for w in layer.weights]
        if [a.shape for a in found] != expected:
            shapes = [list(a.shape) for a in found] or "absent"
            wrong.append(
                f"{layer.name} is {shapes} there and "
                f"{[list(shape) for shape in expected]} here"
            )
        arrays[layer.name] = found
    if wrong:
        more = len(wrong) - _NUM_NAMED
        raise ValueError(
            f"The weights of {where} do not fit the backbone: "
            f"{'; '.join(wrong[:_NUM_NAMED])}"
            f"{f'; and {more} more' if more > 0 else ''}. Are genotype, "
            "network.num_cells and network.init_channels the same?"
        )
    return arrays


def _read_workdir(workdir, config, cells):
    """Returns (network, mean, std) of a finished retraining."""
    path = os.path.join(workdir, workdirs.CONFIG_FILE)
    if not os.path.exists(path):
        raise ValueError(f"There is no {path}; {_EXPECTED}.")
    there = trained.read_config(workdir)
    if not isinstance(there, retrain_config.RetrainConfig):
        raise ValueError(
            f"{workdir} is the workdir of a {there.task}; {_EXPECTED}."
        )
    if cells is None:
        raise ValueError(
            f"{workdir} holds a network of cells, and network.backbone is "
            f"{config.network.backbone}; expected a .keras file of that."
        )
    found = trained.read(workdir)
    if found.cells != cells:
        raise ValueError(
            f"{workdir} holds a network of another genotype. Give "
            f"--genotype={workdir}, or another --backbone."
        )
    for field in ("stem", "num_cells", "init_channels"):
        there = getattr(found.config.network, field)
        here = getattr(config.network, field)
        if there != here:
            raise ValueError(
                f"The network of {workdir} has {field} {there}, and "
                f"network.{field} is {here}; expected the same, such as "
                f"--config.network.{field}={there}."
            )
    return found.network, found.images.mean, found.images.std


def _read_keras(path):
    """Returns (network, mean, std) of a Keras file."""
    try:
        network = keras.models.load_model(path, compile=False)
    except _NOT_LOADED as error:
        raise ValueError(_not_loaded(path, error)) from None
    names = {layer.name: layer for layer in network.layers}
    inner = [n for n in names.values() if isinstance(n, keras.Model)]
    mean = std = None
    if "normalize" in names and len(inner) == 1:  # That of an export.
        scale = np.asarray(names["normalize"].scale)
        std = 1 / (255 * scale)
        mean = tuple((-np.asarray(names["normalize"].offset) * std).tolist())
        std, network = tuple(std.tolist()), inner[0]
    return network, mean, std


def _read_state(path, suffix, config, cells):
    """Returns a target network with the weights of a state dict."""
    if cells is None:
        raise ValueError(
            f"{path} is a state dict of DARTS, and network.backbone is "
            f"{config.network.backbone}; expected a .keras file of that."
        )
    if suffix == _ARRAYS:
        try:
            with np.load(path, allow_pickle=False) as archive:
                state = dict(archive)
        except _NOT_LOADED as error:
            raise ValueError(_not_loaded(path, error)) from None
    else:
        state = _read_torch(path)
    bias = next(
        (v for k, v in state.items() if k.endswith("classifier.bias")), None
    )
    if bias is None:
        raise ValueError(f"{path} has no classifier.bias; {_EXPECTED}.")
    network = target_network.TargetNetwork(
        cells,
        num_classes=len(bias),
        num_cells=config.network.num_cells,
        init_channels=config.network.init_channels,
        stem="imagenet",
    )
    try:
        porting.port_weights(network, cells, state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return network


def _not_loaded(path, error):
    """Returns the message of a file that cannot be loaded, a line."""
    reason = str(error).strip('\n ."').partition("\n")[0]
    return f"{path} cannot be loaded ({reason}); {_EXPECTED}."


def _read_torch(path):
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        raise ValueError(
            f"{path} needs PyTorch to be read. Install it, or save the state "
            "dict there by numpy.savez(FILE, **{name: value.numpy() ...})."
        ) from None
    found = torch.load(path, map_location="cpu", weights_only=True)
    state = found.get("state_dict", found)
    return {name: value.numpy() for name, value in state.items()}
