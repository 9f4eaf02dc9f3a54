"""Where the nodes, labels and curves of a drawn cell stand.

A cell is drawn from left to right. Every node that has successors owns a
horizontal band; the edge (i, j) keeps to the band of node i until it has
passed through its label slot in the column of node j, then turns to node j.
Edges that skip a column run in lanes of their own at the rim of the band. All
this is the same for every genotype with that number of nodes, so that
successive pictures can be laid over each other. Lengths are in points; x grows
rightward, y upward.
"""

import functools

RADIUS = 14.0  # Of a node.
LABEL_WIDTH = 74.0
ROW_HEIGHT = 13.0  # Of a label where there is room.

_SLOT_HEIGHT = 52.0  # Of the labels of one edge, however many.
_LANE_HEIGHT = 9.0
_TITLE_HEIGHT = 16.0
_FAN_WIDTH = 40.0  # Of the gaps in which the curves turn.
_PORT_STEP = 5.0  # Between the ends of two edges at a node.
_PORTS_HEIGHT = 20.0  # From the first to the last of them, at most.
_RISE = 4.0  # Of the innermost lane's start above the middle of its node.
_RISE_STEP = 3.0  # From there to the next lane's start.
_RISES_HEIGHT = 8.0  # From the first to the last of them, at most.
_ARROW_LENGTH = 5.0
_MARGIN = 10.0
_PITCH = LABEL_WIDTH + 2 * _FAN_WIDTH + 2 * RADIUS  # From node to node.


@functools.cache
def of(num_intermediate, num_inputs=2):
    """Returns the `Layout` of cells with these numbers of nodes."""
    return Layout(num_intermediate, num_inputs)


def spread(count, step):
    """Returns `count` offsets around 0, `step` apart, from the top down."""
    return [step * ((count - 1) / 2 - index) for index in range(count)]


def row_height(count):
    """Returns the height of a label where an edge has `count` of them."""
    return min(ROW_HEIGHT, _SLOT_HEIGHT / max(count, 1))


class Layout:
    """The geometry of cells with some number of nodes.

    Args:
        num_intermediate: Number of intermediate nodes, at least 1.
        num_inputs: Number of input nodes, at least 1.

    Attributes:
        num_inputs: Number of input nodes.
        inner: Numbers of the intermediate nodes, a range.
        output: The number of the cell's output as a node.
        edges: Every (source, target) of nodes that may be joined, by target,
            then by source; the output is no target here.
        width: Of the picture.
        height: Of the picture, with room for a title.
        nodes: {node: (x, y)}, the centres.
    """

    def __init__(self, num_intermediate, num_inputs=2):
        self.num_inputs = num_inputs
        self.output = num_inputs + num_intermediate
        self.inner = range(num_inputs, self.output)
        self.edges = tuple((i, j) for j in self.inner for i in range(j))
        right = (num_intermediate + 1) * _PITCH - LABEL_WIDTH - _FAN_WIDTH
        self.width = right + 2 * (_MARGIN + RADIUS)
        self.height, heights, self._lanes = self._stack_bands()
        self.nodes = {n: (self._node_x(n), y) for n, y in heights.items()}

    def label_x(self, target):
        """Returns the left end of the labels of the edges into a node."""
        return self._node_x(target) - RADIUS - _FAN_WIDTH - LABEL_WIDTH

    def port(self, source, target):
        """Returns the point (x, y) on a node's rim where an edge ends."""
        sources = self.inner if target == self.output else range(target)

        def height(node):
            return self._lanes.get((node, target), self.nodes[node][1])

        ordered = sorted(sources, key=height, reverse=True)
        step = min(_PORT_STEP, _PORTS_HEIGHT / max(len(ordered) - 1, 1))
        dy = spread(len(ordered), step)[ordered.index(source)]
        x, y = self.nodes[target]
        return x - (RADIUS**2 - dy**2) ** 0.5, y + dy

    def curve(self, source, target, lane_offset, label_offset):
        """Returns the path of a connection, as horizontal runs.

        Args:
            source: Node where it starts.
            target: Node where it ends, which may be `output`.
            lane_offset: Height above the middle of the edge's lane.
            label_offset: Height above the middle of its label slot.

        Returns:
            A list of (x from, x to, y), to be joined by S-curves.
        """
        x, y = self.nodes[source]
        runs = [(x, x + RADIUS, y + self._rise(source, target, lane_offset))]
        until = self._node_x(target - 1) + RADIUS  # Where its column starts.
        if (source, target) in self._lanes:
            start = self.label_x(self._next(source))
            lane = self._lanes[source, target]
            runs.append((start, until, lane + lane_offset))
        if target != self.output:
            left = self.label_x(target)
            runs.append((left, left + LABEL_WIDTH, y + label_offset))
        x, y = self.port(source, target)
        y += lane_offset / 2
        runs.append((x - _ARROW_LENGTH, x - 0.5 * _ARROW_LENGTH, y))
        return runs

    def _node_x(self, node):
        if node == self.output:
            return self.width - _MARGIN - RADIUS
        return _MARGIN + RADIUS + _PITCH * max(0, node - self.num_inputs + 1)

    def _next(self, node):
        """Returns the first intermediate node after a node."""
        return max(node + 1, self.num_inputs)

    def _skipped_to(self, source):
        """Returns the targets that a node reaches by lanes, innermost first."""
        # The next column needs no lane; inputs do not lead to the output.
        end = self.output + (source in self.inner)
        return range(self._next(source) + 1, end)

    def _stack_bands(self):
        """Returns a cell's height, {node: y}, and {(source, target): y}.

        The latter are the lanes of the edges that skip a column, including
        edges to the cell's output; the farthest target has the outermost lane.
        """
        last = self.output - 1
        # Bands alternate, so that later nodes are nearer the middle. Lanes of
        # the lower ones run below their label slots.
        lower, upper = range(1, last, 2), range(0, last, 2)
        nodes, lanes, y = {}, {}, _MARGIN
        for source in (*lower, *reversed(upper)):
            targets = [None, *self._skipped_to(source)]  # None: the slot.
            for target in reversed(targets) if source in lower else targets:
                height = _SLOT_HEIGHT if target is None else _LANE_HEIGHT
                if target is None:
                    nodes[source] = y + height / 2
                else:
                    lanes[source, target] = y + height / 2
                y += height
            y += _MARGIN
        nodes[last] = nodes[self.output] = nodes[last - 1]
        return y + _TITLE_HEIGHT, nodes, lanes

    def _rise(self, source, target, lane_offset):
        """Returns how far above its middle a connection leaves a node."""
        if (source, target) not in self._lanes:
            return lane_offset / 2
        targets = self._skipped_to(source)
        step = min(_RISE_STEP, _RISES_HEIGHT / max(len(targets) - 1, 1))
        rise = _RISE + step * targets.index(target)
        is_lower = source % 2 == 1  # Its lanes run below its label slots.
        return lane_offset / 2 + (-rise if is_lower else rise)
