"""Exact data-race detection with a constant amount of state per address.

Two accesses of one address by different threads, one of them a write, race unless a barrier of their block
(same block) or a syncwarp of their warp (same warp) lies between. An access is packed into one integer,
(time, thread, site): time counts the synchronisations of the launch, site names the line. An address
remembers
- `writer`, its last writer,
- `first`, a reader of the last reading group, and `second`, another of that group since it last synchronised,
- `third`, a reader of any other group of that block since the block's last barrier (only with syncwarp),
- `far`, a reader of any other block.
A group is the block, or the warp in a kernel that calls syncwarp. That suffices: where a later write races
with any reader, it races with one that is kept; and what an ordered write has overtaken,
the write stands for.
A syncwarp that only some lanes of a warp reach orders these lanes after everything the warp did before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workshop.gpu.checked.lanes import Array, Lanes, Value


class Hit(NamedTuple):
    """A race: a lane, and the packed access that it collides with or, if that is 0, the lane `peer`."""

    lane: int
    other: int
    peer: int = -1


class Clock:
    """Counts synchronisations; knows who each lane of the running batch is and when it last synchronised."""

    def __init__(self, blocks: int, threads: int, warp_size: int, sites: int, warps: bool) -> None:
        self.threads = threads
        self.warp_size = warp_size
        self.warps = warps  # syncwarp is called
        self._site_bits = (sites + 1).bit_length()
        self._low_bits = (blocks * threads).bit_length() + self._site_bits
        self.thread_bits = (1 << self._low_bits) - (1 << self._site_bits)
        self.now = 0

    def begin(self, first_block: int, lanes: int) -> None:
        """Start a batch; all it does comes after all that earlier batches did to shared memory."""
        self.now += 1
        self.lanes = lanes
        self.start = self.now << self._low_bits
        self._fence: Value = np.int64(self.start)  # [lanes] or one for all
        self._warp_fence: Array | None = np.full(lanes, self.start, np.int64) if self.warps else None
        threads = np.arange(first_block * self.threads, first_block * self.threads + lanes, dtype=np.int64)
        self._mine = threads << self._site_bits

    def stamp(self, lanes: Lanes, site: int) -> Array:
        """Pack an access by these lanes that happens now."""
        packed: Array = self.mine(lanes) + ((self.now << self._low_bits) | site)
        return packed

    def mine(self, lanes: Lanes) -> Array:
        """The lanes' thread numbers at their place in a packed access."""
        mine: Array = lanes.take("mine", self._mine)
        return mine

    def fence(self, lanes: Lanes) -> Value:
        """When the lanes' blocks last met at a barrier (packed, so that any later access is larger)."""
        fence = self._fence
        return fence if lanes.idx is None or type(fence) is not np.ndarray else fence[lanes.idx]

    def group_fence(self, lanes: Lanes) -> Value:
        """When the lanes' groups last synchronised."""
        if self._warp_fence is None:
            return self.fence(lanes)
        own = self._warp_fence if lanes.idx is None else self._warp_fence[lanes.idx]
        return np.maximum(own, self.fence(lanes))

    def barrier(self, lanes: Lanes) -> None:
        """Order everything these lanes' blocks did before; all threads of the blocks are here."""
        self.now += 1
        packed = np.int64(self.now << self._low_bits)
        if lanes.idx is None:
            self._fence = packed
            return
        fence = self._fence
        self._fence = fence = fence.copy() if type(fence) is np.ndarray else np.full(self.lanes, fence)
        fence[lanes.idx] = packed

    def syncwarp(self, lanes: Lanes) -> None:
        """Order what these lanes did before, warp by warp."""
        self.now += 1
        if self._warp_fence is not None:
            self._warp_fence[slice(None) if lanes.idx is None else lanes.idx] = self.now << self._low_bits

    def thread(self, packed: Value) -> Value:
        """The global thread number of a packed access."""
        return (packed & self.thread_bits) >> self._site_bits

    def site(self, packed: int) -> int:
        """The site of a packed access."""
        return packed & ((1 << self._site_bits) - 1)

    def block(self, packed: Value) -> Value:
        """The block of a packed access."""
        return self.thread(packed) // self.threads

    def group(self, packed: Value) -> Value:
        """The number of the group of a packed access, unique over the launch."""
        block, thread = np.divmod(self.thread(packed), self.threads)
        return block * self.threads + thread // self.warp_size if self.warps else block

    def concurrent(self, lanes: Lanes, seen: Array, one_block: bool) -> Array | None:
        """Mark the lanes that nothing orders after the access at their address; None if there is none."""
        if one_block:
            fence = self.fence(lanes)
            if type(fence) is not np.ndarray and seen.max() < fence:
                return None
            found = seen >= fence
        elif not seen.any():
            return None
        else:
            found = seen != 0
        mine = self.mine(lanes)
        found &= ((seen ^ mine) & self.thread_bits) != 0
        if not found.any():
            return None
        if not one_block:
            found &= (self.block(seen) != self.block(mine)) | (seen >= self.fence(lanes))
        if self._warp_fence is not None:
            found &= (self.group(seen) != self.group(mine)) | (seen >= self.group_fence(lanes))
        return found if found.any() else None


class Shadow:
    """What is remembered about the addresses of one array; 0 means nobody.

    `one_block` says that only one block can reach an address (shared memory). The arrays come zeroed from the
    operating system, which gives memory only to pages that are written: untouched parts cost nothing.
    """

    def __init__(self, size: int, one_block: bool, reads: bool) -> None:
        self.one_block = one_block
        self.reads = reads
        self.writer = np.zeros(size, np.int64)
        readers = size if reads else 0
        self.first, self.second, self.third, self.far = (np.zeros(readers, np.int64) for _ in range(4))
        self._used = [False, False, False]  # whether second, third, far hold anything

    def read(self, clock: Clock, lanes: Lanes, at: Array, written: Array, site: int) -> Hit | None:
        """Note reads of addresses whose last writers are `written`; return the lowest lane's race, if any."""
        found = clock.concurrent(lanes, written, self.one_block)
        if found is not None:
            where = int(found.argmax())
            return Hit(lanes.number(where), int(written[where]))
        if self.reads:
            self._note(clock, lanes, at, clock.stamp(lanes, site))
        return None

    def _note(self, clock: Clock, lanes: Lanes, at: Array, new: Array) -> None:
        old = self.first[at]
        replace = old < clock.group_fence(lanes)
        if replace.all():
            self._replace(clock, lanes, at, old, new)
        elif replace.any():
            self._replace(clock, lanes.where(replace), at[replace], old[replace], new[replace])
        now = self.first[at]
        differ = ((now ^ new) & clock.thread_bits) != 0
        if differ.any():
            self._note_more(clock, at[differ], now[differ], new[differ])

    def _one_group(self, clock: Clock) -> bool:
        """Whether only lanes of one group can reach an address."""
        return self.one_block and not clock.warps

    def _replace(self, clock: Clock, lanes: Lanes, at: Array, old: Array, new: Array) -> None:
        """Make `new` the first readers; the old ones move to where they still matter."""
        self.first[at] = new
        if self._one_group(clock):
            return
        abroad = (clock.block(old) != clock.block(new)) & (old != 0)
        if abroad.any():
            self._used[2] = True
            self.far[at[abroad]] = old[abroad]
        if clock.warps:
            near = (old >= clock.fence(lanes)) & ~abroad & (clock.group(old) != clock.group(new))
            if near.any():
                self._used[1] = True
                self.third[at[near]] = old[near]

    def _note_more(self, clock: Clock, at: Array, first: Array, new: Array) -> None:
        """Note readers that share their address with another first reader."""
        if self._one_group(clock):
            self._used[0] = True
            self.second[at] = new
            return
        same = clock.group(first) == clock.group(new)
        self._used[0] |= bool(same.any())
        self.second[at[same]] = new[same]
        if same.all():
            return
        home = ~same & (clock.block(first) == clock.block(new))
        away = ~same & ~home
        self._used[1] |= bool(home.any())
        self._used[2] |= bool(away.any())
        self.third[at[home]] = new[home]
        self.far[at[away]] = new[away]

    def write(self, clock: Clock, lanes: Lanes, at: Array, site: int) -> Hit | None:
        """Note writes; return the lowest lane's race, if any."""
        hits = [self._collision(clock, lanes, self.writer[at])]
        if self.reads:
            hits.append(self._collision(clock, lanes, self.first[at]))
            more = zip((self.second, self.third, self.far), self._used, strict=True)
            hits += [self._collision(clock, lanes, readers[at]) for readers, used in more if used]
        new = clock.stamp(lanes, site)
        self.writer[at] = new
        if (self.writer[at] != new).any():
            hits.append(self._same_access(lanes, at))
        return min((hit for hit in hits if hit is not None), key=lambda hit: hit.lane, default=None)

    def _collision(self, clock: Clock, lanes: Lanes, seen: Array) -> Hit | None:
        found = clock.concurrent(lanes, seen, self.one_block)
        if found is None:
            return None
        where = int(found.argmax())
        return Hit(lanes.number(where), int(seen[where]))

    @staticmethod
    def _same_access(lanes: Lanes, at: Array) -> Hit:
        """The two lowest lanes that write one address in one access."""
        _, inverse, counts = np.unique(at, return_inverse=True, return_counts=True)
        low = int((counts[inverse] > 1).argmax())
        peer = low + 1 + int((at[low + 1 :] == at[low]).argmax())
        return Hit(lanes.number(low), 0, lanes.number(peer))
