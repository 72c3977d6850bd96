"""A routine followed for certain numbers: which bytes it touches behind each of its parameters.

Instructions are executed with what is known: numbers that are passed, distances of addresses from the parameters, nothing of
what is loaded. A loop is not executed turn by turn. From two arrivals at its beginning follows by how much each value grows; one
more turn is executed with values that grow with a counter, and where it ends with the same values for the next count, that is a
proof by induction for every turn in which all branches go the same way; how long they do is known, as what they compare grows
with the counter. Loops in loops have a counter each. A loop that data end is followed with what is the same in all its turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smelt.loops.assembly.growth import Growth, at, growing, growth, too_far, widened, wrong
from smelt.loops.assembly.ir import FLAGS, WIDE, Instruction, Label
from smelt.loops.assembly.linear import HOLDS, Linear, first_change, number, plus
from smelt.loops.assembly.machine import CODE, State, Unfollowed, execute, question, value_of
from smelt.loops.assembly.node import Node
from smelt.loops.assembly.summary import Key, Outline, Summary, back, outlines, relative
from smelt.loops.assembly.touched import Touched

MOST_STEPS = 1 << 19  # instructions that are executed; no routine of ours takes a hundredth
MOST_PATHS = 32
TRIALS = 3
LONGEST_REST = 64  # arrivals at which a loop is not tried that showed nothing before; twice as many each time
FAR = 1 << 30
FROM_OUTSIDE = 1 << 20


class _Failed(Exception):
    """A turn that shows nothing for the turns after it."""


@dataclass
class _Arrival:
    """The state when the beginning of a loop was reached last from the end of the node `by`."""

    by: int
    state: State
    seen: bool = False  # nothing is to be tried there


Arrivals = dict[int, list[_Arrival]]
"""At each beginning of a loop, those of outer loops first."""


@dataclass(frozen=True)
class _Left:
    """The end of a walk: the last node, the one that follows, and the state."""

    place: int
    to: int
    state: State


@dataclass(frozen=True)
class _Walk:
    """A part of the routine that is followed for itself: until the node `stop` is reached from the node `by`, or from any. It may
    not leave those from `first` to `last`; with `leaves` it ends where it does. `symbolic`: with values that grow."""

    stop: int = -1
    by: int | None = None
    first: int = 0
    last: int = FROM_OUTSIDE
    symbolic: bool = False
    leaves: bool = False


class Follower:
    """Follows one routine. `touched` is what it touches."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)
        self.touched = Touched()
        self._at = {node.label: place for place, node in enumerate(nodes)}
        self._targets = [self._target(node) for node in nodes]
        self._loops = outlines(nodes, self._targets)
        self._summaries: dict[tuple[int, Key], Summary] = {}
        self._learned: dict[tuple[int, int], Growth] = {}  # by the beginning and the end of a loop
        self._rests: dict[tuple[int, int], tuple[int, int]] = {}  # how long a loop is not tried next time, and now
        self._limits: dict[int, int] = {}
        self._counters = 0
        self._steps = 0
        self._paths: list[tuple[int, State]] = []
        self._forced: dict[int, bool] = {}
        self._vague: set[int] = set()  # instructions that went nobody knows where, or on nobody knows what

    def follow(self, state: State) -> None:
        """From the first instruction to the last. Raises Unfollowed."""
        self._paths = [(0, state)]
        for _ in range(MOST_PATHS):
            if not self._paths:
                return
            place, state = self._paths.pop()
            try:
                self._walk(place, state, _Walk())
            except _Failed:
                raise Unfollowed("it goes on where nobody knows") from None
        raise Unfollowed("too many ways lead through it")

    def _target(self, node: Node) -> int | None:
        """Where its branch goes."""
        if node.turns:
            return self._at[node.label]
        labels = [o.name for o in node.exit.operands if isinstance(o, Label)] if node.exit is not None else []
        return self._at[labels[0]] if labels else None

    # --- the way ------------------------------------------------------------------------------------------------------

    def _walk(self, place: int, state: State, walk: _Walk) -> _Left:
        """From a node to where `walk` stops, or to the end of the routine."""
        by = FROM_OUTSIDE if walk.by is None else walk.by
        arrivals: Arrivals = {}
        state, skipped = self._entered(place, by, state, arrivals), 0
        while True:
            node = self.nodes[place]
            self._row((one for at, one in node.body if at >= skipped), state, walk)
            if node.ahead:
                self._row((one for _, one in node.ahead), dict(state), walk, reads_only=True)
            if node.begins:
                state[node.counter] = number(node.begins)
            to, skipped, state = self._next(place, node, state, arrivals, walk)
            whole: _Left | None = None
            while not (stops := self._stops(place, to, walk)) and to > place and not skipped and to in self._loops:
                whole = self._whole(self._loops[to], state, walk)
                if whole is None:
                    break
                place, to, state = whole.place, whole.to, whole.state
            if stops:
                return _Left(place, to, state)
            if to in self._loops and not skipped:
                again = to <= place
                state = self._arrived(to, place, state, arrivals) if again else state
                state = self._entered(to, place if again else FROM_OUTSIDE, state, arrivals)
            place = to

    def _stops(self, place: int, to: int, walk: _Walk) -> bool:
        """Whether the way from one node to another ends a walk. Raises _Failed where it may not be gone."""
        by = FROM_OUTSIDE if walk.by is None else walk.by
        if to == walk.stop and walk.by in (None, place):
            return True
        if not walk.first <= to <= walk.last or (to == walk.stop and place > by):
            if walk.leaves:
                return True
            raise _Failed
        if to == len(self.nodes) and walk.stop >= 0:
            raise _Failed
        return to == len(self.nodes)

    def _whole(self, loop: Outline, state: State, walk: _Walk) -> _Left | None:
        """Where a loop is left that is entered from outside, and how; None: its turns must be seen one by one."""
        found = relative(state, loop.needs)
        if found is None:
            return None
        key, bases = found
        summary = self._summaries.get((loop.head, key)) or self._summary(loop, key, walk)
        if summary is None:
            return None
        self._summaries[loop.head, key] = summary
        self.touched.take_moved(summary.touched, bases)
        return _Left(summary.place, summary.to, {**state, **back(summary.state, bases)})

    def _summary(self, loop: Outline, key: Key, walk: _Walk) -> Summary | None:
        outside, forced = self.touched, dict(self._forced)
        self.touched = Touched()
        inside = _Walk(first=loop.head, last=loop.last, symbolic=walk.symbolic, leaves=True)
        try:
            left = self._walk(loop.head, dict(zip(loop.needs, key, strict=True)), inside)
            changed = {name: value for name, value in left.state.items() if name in loop.changes}
            return Summary(left.place, left.to, changed, self.touched)
        except (_Failed, Unfollowed):
            self._forced = forced
            return None
        finally:
            self.touched = outside

    def _row(self, body: Iterable[Instruction], state: State, walk: _Walk, reads_only: bool = False) -> None:
        for one in body:
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise Unfollowed("it takes too long")
            access = execute(one, state)
            if access is None or (access.writes and reads_only):
                continue
            if not access.at.is_known:
                self._vaguely(id(one), walk)
            self.touched.add(access)

    def _vaguely(self, what: int, walk: _Walk) -> None:
        """Something depends on data. Where values grow that is only so if it was before."""
        if walk.symbolic and what not in self._vague:
            raise _Failed
        self._vague.add(what)

    def _next(self, place: int, node: Node, state: State, arrivals: Arrivals, walk: _Walk) -> tuple[int, int, State]:
        """The node that follows, the instructions that are left out there, and the state."""
        if node.turns:
            return self._counted(node, state) + place, 0, state
        if node.exit is None:
            return place + 1, 0, state
        if node.exit.name == "bx":
            return (*self._jump(node.exit, state), state)
        target = self._targets[place]
        assert target is not None
        taken = True if node.exit.condition is None else self._taken(node.exit, state)
        if taken is not None:
            return (target if taken else place + 1), 0, state
        self._vaguely(id(node.exit), walk)
        if target <= place:
            return self._ended_by_data((target, place), node.exit, state, arrivals, walk)
        return self._either_way(place, target, state, walk)

    def _counted(self, node: Node, state: State) -> int:
        """Whether a turn was the last one of those that are counted."""
        name = node.counter
        before = state.get(name)
        left = plus(before, number(-1)) if isinstance(before, Linear) else None
        if left is None:
            raise _Failed
        state[name] = left
        return int(not self._holds(left, "ne"))

    def _jump(self, exit: Instruction, state: State) -> tuple[int, int]:
        """Into a loop."""
        address = value_of(exit.operands[0], state)
        if address is None or not address.region.startswith(CODE) or address.constant is None or address.terms:
            raise Unfollowed("it goes to an address that nobody knows")
        place, left_out = self._at[address.region[len(CODE) :]], (address.constant - 1) // WIDE
        node = self.nodes[place]
        if not node.begins:
            return place, left_out
        state[node.counter] = number(node.begins - left_out // node.length)
        return place + 1, left_out % node.length

    def _taken(self, exit: Instruction, state: State) -> bool | None:
        if id(exit) in self._forced:
            return self._forced.pop(id(exit))
        assert exit.condition is not None
        asked = question(state.get(FLAGS.name), exit.condition)
        if asked is None or not all(self._holds(value, "ge") for value in asked.positive):
            return None
        return self._holds(asked.difference, asked.relation)

    def _holds(self, difference: Linear, relation: str) -> bool:
        """How a branch goes, for all counts up to a limit that is noted."""
        assert difference.constant is not None
        if len(difference.terms) > 1:
            raise _Failed
        for counter, step in difference.terms:
            change = first_change(difference.constant, step, relation)
            if change is not None:
                self._limits[counter] = min(self._limits[counter], change - 1)
        return HOLDS[relation](difference.constant)

    # --- loops --------------------------------------------------------------------------------------------------------

    def _entered(self, head: int, by: int, state: State, arrivals: Arrivals) -> State:
        """At a node, from `by`: where loops begin there whose growth is known, the state after as many turns as can be told."""
        if head not in self._loops:
            return state
        if by == FROM_OUTSIDE or head not in arrivals:
            arrivals[head] = [_Arrival(by, dict(state))]
        for end in sorted(e for h, e in self._learned if h == head and e < by):
            after = self._many_turns(head, end, state, self._learned.pop((head, end)))
            if after is not None:
                state = after
                arrivals[head].append(_Arrival(end, dict(state)))
        return state

    def _arrived(self, head: int, by: int, state: State, arrivals: Arrivals) -> State:
        """At the beginning of a loop once more: the state after as many turns as can be told."""
        for inner in [h for h in arrivals if h > head]:
            del arrivals[inner]
        stack = arrivals.setdefault(head, [])
        while stack and stack[-1].by < by:
            stack.pop()
        if not stack or stack[-1].by != by:
            stack.append(_Arrival(by, stack[-1].state if stack else {}))
        here = stack[-1]
        if not here.seen:
            by_turn = growth(here.state, state) if here.state else self._learned.pop((head, by), None)
            if by_turn is not None:
                state = self._many_turns(head, by, state, by_turn) or state
        here.state = dict(state)
        return state

    def _many_turns(self, head: int, by: int, state: State, by_turn: Growth) -> State | None:
        """The state after all turns that are like the next one; None: nothing can be told."""
        if self._rests_now(head, by):
            return None
        self._counters += 1
        counter = self._counters
        kept, outside = dict(self._limits), self.touched
        for _ in range(TRIALS):
            start = growing(state, by_turn, counter)
            self._limits, self.touched = {**kept, counter: FAR}, Touched()
            end = self._turn(head, by, start)
            if end is None:
                break
            changed = wrong(start, end, counter)
            by_turn.update(dict.fromkeys(changed))
            if not changed:
                last = self._limits.pop(counter)
                if last == FAR or too_far(start, counter, last + 1):
                    break
                outside.take(self.touched, counter, last)
                self.touched = outside
                self._learned[head, by] = by_turn
                if last > 0:
                    del self._rests[head, by]
                return at(end, counter, last)
        self._limits, self.touched = kept, outside
        return None

    def _rests_now(self, head: int, by: int) -> bool:
        """Whether a loop is left alone, as it showed little. The next rest is longer, unless it shows something."""
        longest, left = self._rests.get((head, by), (0, 0))
        self._rests[head, by] = (longest, left - 1) if left else (min(2 * longest + 1, LONGEST_REST), longest)
        return left > 0

    def _turn(self, head: int, by: int, state: State) -> State | None:
        forced = dict(self._forced)
        try:
            return self._walk(head, dict(state), _Walk(head, by, head, symbolic=True)).state
        except (_Failed, Unfollowed):
            self._forced = forced
            return None

    def _ended_by_data(
        self, loop: tuple[int, int], exit: Instruction, state: State, arrivals: Arrivals, walk: _Walk
    ) -> tuple[int, int, State]:
        """A loop that ends when data say so: on from its beginning with what is the same in all turns, to leave it."""
        head, by = loop
        if head not in arrivals:
            raise Unfollowed("a loop that data end has several beginnings")
        wide = widened(arrivals[head][-1].state, state)
        for _ in range(len(state) + 2):
            self._forced[id(exit)] = True
            end = self._walk(head, dict(wide), _Walk(head, by, head, symbolic=walk.symbolic))
            wider = widened(wide, end.state)
            if wider == wide:
                break
            wide = wider
        self._forced[id(exit)] = False
        arrivals[head].append(_Arrival(by, wide, seen=True))
        return head, 0, wide

    def _either_way(self, place: int, target: int, state: State, walk: _Walk) -> tuple[int, int, State]:
        """A branch forward that data decide: on from where both ways meet, or one after the other."""
        try:
            end = self._walk(place + 1, dict(state), _Walk(target, None, place + 1, target, walk.symbolic))
            return target, 0, widened(state, end.state)
        except _Failed:
            if walk.stop >= 0 or walk.leaves:
                raise
            self._paths.append((target, dict(state)))
            return place + 1, 0, state
