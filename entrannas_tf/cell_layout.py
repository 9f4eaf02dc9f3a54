"""Where the nodes, labels and curves of a drawn cell stand.

A cell is drawn from left to right. Every node that has successors owns a
horizontal band; the edge (i, j) keeps to the band of node i until it has
passed through its label slot in the column of node j, then turns to node j.
Edges that skip a column run in lanes of their own at the rim of the band. All
this is the same for every genotype, so that successive pictures can be laid
over each other. Lengths are in points; x grows rightward, y upward.
"""

import math

from entrannas_tf import search_space

OUTPUT = search_space.NUM_NODES  # The number of the cell's output as a node.
RADIUS = 14.0  # Of a node.
LABEL_WIDTH = 74.0
ROW_HEIGHT = 13.0  # Of a label where there is room.

_SLOT_HEIGHT = 52.0  # Of the labels of one edge, however many.
_LANE_HEIGHT = 9.0
_FAN_WIDTH = 40.0  # Of the gaps in which the curves turn.
_PORT_STEP = 5.0  # Between the ends of two edges at a node.
_ARROW_LENGTH = 5.0
_MARGIN = 10.0
_PITCH = LABEL_WIDTH + 2 * _FAN_WIDTH + 2 * RADIUS  # From node to node.
WIDTH = 2 * _MARGIN + 5 * _PITCH + 2 * RADIUS - LABEL_WIDTH - _FAN_WIDTH

# The nodes with successors, from the bottom band to the top band.
_BANDS = (1, 3, 4, 2, 0)
_LOWER_BANDS = (1, 3)  # Their lanes run below the label slots.


def node_x(node):
    """Returns the x of a node's centre."""
    if node == OUTPUT:
        return WIDTH - _MARGIN - RADIUS
    return _MARGIN + RADIUS + _PITCH * max(0, node - 1)


def label_x(target):
    """Returns the left end of the labels of the edges into a node."""
    return node_x(target) - RADIUS - _FAN_WIDTH - LABEL_WIDTH


def _stack_bands():
    """Returns the height of a cell, {node: y} and {(source, target): y}.

    The second are the lanes of the edges that skip a column, edges to the
    cell's output among them; the farthest target has the outermost lane.
    """
    nodes, lanes, y = {}, {}, _MARGIN
    for source in _BANDS:
        is_input = source < search_space.NUM_INPUT_NODES
        first = max(source + 1, search_space.NUM_INPUT_NODES)
        skipping = range(first + 1, OUTPUT if is_input else OUTPUT + 1)
        slot = ["slot"]
        if source in _LOWER_BANDS:
            order = [*reversed(skipping), *slot]
        else:
            order = [*slot, *skipping]
        for item in order:
            height = _SLOT_HEIGHT if item == "slot" else _LANE_HEIGHT
            if item == "slot":
                nodes[source] = y + height / 2
            else:
                lanes[source, item] = y + height / 2
            y += height
        y += _MARGIN
    nodes[5] = nodes[OUTPUT] = nodes[4]
    return y + 16.0, nodes, lanes  # 16 for the title.


HEIGHT, _NODE_Y, _LANE_Y = _stack_bands()
NODES = {node: (node_x(node), y) for node, y in _NODE_Y.items()}


def spread(count, step):
    """Returns `count` offsets around 0, `step` apart, from the top down."""
    return [step * ((count - 1) / 2 - index) for index in range(count)]


def row_height(count):
    """Returns the height of a label where an edge has `count` of them."""
    return min(ROW_HEIGHT, _SLOT_HEIGHT / max(count, 1))


def port(source, target):
    """Returns the point (x, y) on a node's rim where the edge into it ends."""
    if target == OUTPUT:
        sources = range(search_space.NUM_INPUT_NODES, search_space.NUM_NODES)
    else:
        sources = range(target)

    def height(node):
        return _LANE_Y.get((node, target), _NODE_Y[node])

    ordered = sorted(sources, key=height, reverse=True)
    dy = spread(len(ordered), _PORT_STEP)[ordered.index(source)]
    x, y = NODES[target]
    return x - (RADIUS**2 - dy**2) ** 0.5, y + dy


def _rise(distance):
    """Returns how far off its middle a node is left for a lane."""
    outward = (abs(distance) - (_SLOT_HEIGHT + _LANE_HEIGHT) / 2) / _LANE_HEIGHT
    return math.copysign(4.0 + 3.0 * outward, distance)


def curve(source, target, lane_offset, label_offset):
    """Returns the way of a connection, as horizontal runs.

    Args:
        source: Node where it starts.
        target: Node where it ends, or `OUTPUT`.
        lane_offset: How far above the middle of the edge's lane it runs.
        label_offset: How far above the middle of its label slot it runs.

    Returns:
        A list of (x from, x to, y); S-curves are to join one to the next.
    """
    x, y = NODES[source]
    lane = _LANE_Y.get((source, target))
    rise = 0.0 if lane is None else _rise(lane - y)
    runs = [(x, x + RADIUS, y + rise + lane_offset / 2)]
    first = max(source + 1, search_space.NUM_INPUT_NODES)
    end_x, end_y = port(source, target)
    if target == OUTPUT:
        if lane is not None:
            runs.append((label_x(first), node_x(5) + RADIUS, lane))
    else:
        if lane is not None:
            until = node_x(target - 1) + RADIUS
            runs.append((label_x(first), until, lane + lane_offset))
        left = label_x(target)
        runs.append((left, left + LABEL_WIDTH, y + label_offset))
    end_y += lane_offset / 2
    runs.append((end_x - _ARROW_LENGTH, end_x - 0.5 * _ARROW_LENGTH, end_y))
    return runs
