"""Copies weights that PyTorch's DARTS saved into our super-net."""

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import porting


def supernet_weights(arrays, supernet):
    """Finds the weights of a super-net that is DARTS's own.

    Args:
        arrays: Mapping of names, "weights/..." each, to arrays.
        supernet: `supernet.Supernet` with Engine-cells only, without feature
            sharing and bottleneck.

    Returns:
        A list of `porting.Weight`; `PackedLayer.pack` takes them over.
    """
    found = porting.layer_weights(arrays, "weights/stem.", supernet.stem.layer)
    for number, cell in enumerate(supernet.cells):
        prefix = f"weights/cells.{number}."
        nodes = [unit.layer for unit in cell.nodes]
        for node in range(search_space.STANDARD.num_input_nodes):
            block = f"{prefix}preprocess{node}."
            found += porting.layer_weights(arrays, block, nodes[node].form)
        for edge, (source, target) in enumerate(search_space.STANDARD.edges):
            first = max(source + 1, search_space.STANDARD.num_input_nodes)
            group = nodes[source].groups[target - first]
            for name, operation in group.items():
                column = search_space.STANDARD.primitives.index(name)
                place = f"{prefix}_ops.{edge}._ops.{column}."
                found += porting.layer_weights(arrays, place, operation)
    head = porting.layer_weights(
        arrays, "weights/classifier.", supernet.head.layer
    )
    return found + head
