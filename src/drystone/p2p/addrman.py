"""The addresses of other nodes: whom to dial, and whom to tell others about.

Anybody may tell us anything, so the tables are built to be hard to fill:

```
new     heard of, 1024 buckets of 64   bucket by hash(key, source's group, address's group)
tried   spoken to, 256 buckets of 64   bucket by hash(key, address, address's group)
```

Where an address goes depends on a secret key, and on groups of addresses that one owner can easily
have many of. A source's group reaches 64 buckets of the new table and no more, an address's group 8
of the tried table.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from drystone.core.chance import Dice
from drystone.p2p.messages.addresses import PeerAddress
from drystone.p2p.netaddress import NetAddress, Network
from drystone.primitives.codec import (
    Malformed,
    Reader,
    compact_size,
    i64,
    u16,
    u32,
    u64,
    var_bytes,
)
from drystone.primitives.hashes import sha256d

NEW_BUCKETS: Final = 1024
TRIED_BUCKETS: Final = 256
BUCKET_SIZE: Final = 64
TRIED_BUCKETS_PER_GROUP: Final = 8
NEW_BUCKETS_PER_SOURCE_GROUP: Final = 64
NEW_BUCKETS_PER_ADDRESS: Final = 8  # in which an address may be at once
HORIZON_S: Final = 30 * 24 * 3600  # not seen for longer: terrible
RETRIES: Final = 3  # failures of an address that never worked, until it is terrible
MAX_FAILURES: Final = 10  # of one that did, in...
MIN_FAIL_S: Final = 7 * 24 * 3600  # ...at least this long
REPLACEMENT_S: Final = 4 * 3600  # an address that worked so lately keeps its place
TEST_WINDOW_S: Final = 40 * 60  # for trying whether who has the place still works
MAX_COLLISIONS: Final = 10  # of those who wait for a place
KEY_BYTES: Final = 32

_DAY_S, _HOUR_S, _MINUTE_S = 24 * 3600, 3600, 60
_CERTAIN: Final = 1 << 30
# 0.66 to the power of the failures, as parts of 2^30; after eight, it falls no further.
_CHANCES: Final[list[int]] = [_CERTAIN * 66**n // 100**n for n in range(9)]
_FORMAT: Final = 1
_MAX_ENTRIES: Final = (NEW_BUCKETS + TRIED_BUCKETS) * BUCKET_SIZE


class AddressEntry:
    """An address, and what we know of it. Core: AddrInfo. Times are unix seconds, 0 for never."""

    __slots__ = (
        "address",
        "attempts",
        "in_tried",
        "last_count_attempt",
        "last_success",
        "last_try",
        "new_buckets",
        "place",
        "services",
        "source",
        "time",
    )

    def __init__(self, address: NetAddress, services: int, time: int, source: NetAddress) -> None:
        self.address = address
        self.services = services
        self.time = time  # when somebody last saw it, as far as we believe
        self.source = source  # who told us first
        self.last_try = 0
        self.last_count_attempt = 0
        self.last_success = 0
        self.attempts = 0  # in vain, since it last worked
        self.in_tried = False
        self.new_buckets: list[int] = []
        self.place = 0  # in the manager's list

    @property
    def told(self) -> PeerAddress:
        """As others hear of it."""
        return PeerAddress(self.time, self.services, self.address)

    def is_terrible(self, now_s: int) -> bool:
        """Whether it is not worth its place, nor to be told to anybody."""
        if self.last_try and self.last_try >= now_s - _MINUTE_S:
            return False  # being tried right now
        if self.time > now_s + 10 * _MINUTE_S or now_s - self.time > HORIZON_S:
            return True
        if not self.last_success:
            return self.attempts >= RETRIES
        return now_s - self.last_success > MIN_FAIL_S and self.attempts >= MAX_FAILURES

    def chance(self, now_s: int) -> int:
        """How likely it is dialled once it is picked, in parts of 2^30."""
        chance = _CHANCES[min(self.attempts, 8)]
        return chance // 100 if now_s - self.last_try < 10 * _MINUTE_S else chance


class _Table:
    """Buckets of places, of which most are empty. It remembers which have anything in them."""

    def __init__(self) -> None:
        self.buckets: dict[int, dict[int, AddressEntry]] = {}
        self._used: list[int] = []  # buckets with anything in them
        self._index: dict[int, int] = {}  # where in this list

    def get(self, bucket: int, position: int) -> AddressEntry | None:
        return self.buckets.get(bucket, {}).get(position)

    def put(self, bucket: int, position: int, entry: AddressEntry) -> None:
        if bucket not in self.buckets:
            self.buckets[bucket] = {}
            self._index[bucket] = len(self._used)
            self._used.append(bucket)
        self.buckets[bucket][position] = entry

    def remove(self, bucket: int, position: int) -> None:
        places = self.buckets[bucket]
        del places[position]
        if not places:
            del self.buckets[bucket]
            last, at = self._used.pop(), self._index.pop(bucket)
            if last != bucket:
                self._used[at] = last
                self._index[last] = at

    def pick(self, dice: Dice) -> AddressEntry:
        """From a bucket that is not empty, the first entry from some place on, round about."""
        places = self.buckets[self._used[dice.below(len(self._used))]]
        start = dice.below(BUCKET_SIZE)
        return places[min(places, key=lambda position: (position - start) % BUCKET_SIZE)]


class AddrMan:
    """What we know of other nodes. Core: AddrMan.

    key: 32 secret bytes, the same for as long as the addresses are kept. routable_only: whether to
    refuse addresses that only this machine or its neighbours can reach; a network of one desk has
    no others. now_s: unix seconds.
    """

    def __init__(self, key: bytes, dice: Dice, *, routable_only: bool = True) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._dice = dice
        self._routable_only = routable_only
        self._entries: dict[NetAddress, AddressEntry] = {}
        self._list: list[AddressEntry] = []  # the same, to choose from
        self._new = _Table()
        self._tried = _Table()
        self._new_count = 0  # of entries, some of which are in several places
        self._collisions: dict[NetAddress, None] = {}  # who waits for a place in the tried table
        self._last_good = 1  # so that an attempt before any success counts

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[AddressEntry]:
        return iter(self._entries.values())

    def get(self, address: NetAddress) -> AddressEntry | None:
        """What we know of an address."""
        return self._entries.get(address)

    @property
    def new_count(self) -> int:
        """Addresses that we have only heard of."""
        return self._new_count

    @property
    def tried_count(self) -> int:
        """Addresses that we have spoken to."""
        return len(self._entries) - self._new_count

    # Hearing of addresses.

    def add(
        self, told: Iterable[PeerAddress], source: NetAddress, *, now_s: int, penalty_s: int = 0
    ) -> int:
        """Hear of addresses; how many of them got a place. penalty_s: taken off their times."""
        return sum([self._add(one, source, now_s, penalty_s) for one in told])

    def _add(self, told: PeerAddress, source: NetAddress, now_s: int, penalty_s: int) -> bool:
        address = told.address
        if not (address.is_routable if self._routable_only else address.is_valid):
            return False
        if address[:2] == source[:2]:  # of itself; the port does not matter
            penalty_s = 0
        entry = self._entries.get(address)
        if entry is None:
            time = max(0, told.time - penalty_s)
            entry = self._create(address, told.services, time, source)
        elif not self._refresh(entry, told, now_s, penalty_s):
            return False
        return self._place_in_new(entry, self._new_bucket(address, source), now_s)

    def _refresh(self, entry: AddressEntry, told: PeerAddress, now_s: int, penalty_s: int) -> bool:
        """Take over what is news of a known address; whether to give it one more place."""
        is_online = now_s - told.time < _DAY_S
        interval_s = _HOUR_S if is_online else _DAY_S
        if entry.time < told.time - interval_s - penalty_s:
            entry.time = max(0, told.time - penalty_s)
        entry.services |= told.services
        if told.time <= entry.time or entry.in_tried:
            return False
        places = len(entry.new_buckets)
        # Each further place is twice as hard to get.
        return places < NEW_BUCKETS_PER_ADDRESS and self._dice.below(1 << places) == 0

    def _place_in_new(self, entry: AddressEntry, bucket: int, now_s: int) -> bool:
        position = self._position("N", bucket, entry.address)
        there = self._new.get(bucket, position)
        if there is entry:
            return False
        if there is not None:
            is_only_place = not entry.new_buckets
            yields = there.is_terrible(now_s) or (len(there.new_buckets) > 1 and is_only_place)
            if not yields:
                if is_only_place:
                    self._delete(entry)
                return False
            self._clear_new(bucket, position)
        self._put_in_new(entry, bucket, position)
        return True

    # Speaking to them.

    def attempt(self, address: NetAddress, *, now_s: int, count_failure: bool = True) -> None:
        """We dial. Failures count once for each success of others: maybe it is we who are off."""
        entry = self._entries.get(address)
        if entry is None:
            return
        entry.last_try = now_s
        if count_failure and entry.last_count_attempt < self._last_good:
            entry.last_count_attempt = now_s
            entry.attempts += 1

    def good(self, address: NetAddress, *, now_s: int) -> bool:
        """It has answered; whether it moved into the tried table now.

        If its place there is taken, it waits until `resolve_collisions` decides.
        """
        return self._good(address, now_s, test_before_evict=True)

    def _good(self, address: NetAddress, now_s: int, *, test_before_evict: bool) -> bool:
        self._last_good = now_s
        entry = self._entries.get(address)
        if entry is None:
            return False
        # Its time stays as it is: others would see from it whom we are connected to.
        entry.last_success = entry.last_try = now_s
        entry.attempts = 0
        if entry.in_tried:
            return False
        bucket = self._tried_bucket(address)
        position = self._position("K", bucket, address)
        if test_before_evict and self._tried.get(bucket, position) is not None:
            if len(self._collisions) < MAX_COLLISIONS:
                self._collisions[address] = None
            return False
        self._make_tried(entry, bucket, position)
        return True

    def connected(self, address: NetAddress, *, now_s: int) -> None:
        """A connection has ended that was good until now."""
        entry = self._entries.get(address)
        if entry is not None and now_s - entry.time > 20 * _MINUTE_S:
            entry.time = now_s

    def set_services(self, address: NetAddress, services: int) -> None:
        """It has told us itself what it offers."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.services = services

    def _make_tried(self, entry: AddressEntry, bucket: int, position: int) -> None:
        for at in entry.new_buckets:
            self._new.remove(at, self._position("N", at, entry.address))
        entry.new_buckets.clear()
        self._new_count -= 1
        old = self._tried.get(bucket, position)
        if old is not None:  # it is new again, in the place of whoever is there
            self._tried.remove(bucket, position)
            old.in_tried = False
            self._new_count += 1
            back = self._new_bucket(old.address, old.source)
            at = self._position("N", back, old.address)
            if self._new.get(back, at) is not None:
                self._clear_new(back, at)
            self._put_in_new(old, back, at)
        self._tried.put(bucket, position, entry)
        entry.in_tried = True

    def resolve_collisions(self, *, now_s: int) -> None:
        """Decide for those who wait whether who has their place has deserved to keep it."""
        for address in list(self._collisions):
            if self._is_resolved(address, now_s):
                del self._collisions[address]

    def _is_resolved(self, address: NetAddress, now_s: int) -> bool:
        entry = self._entries.get(address)
        if entry is None:
            return True
        old = self._tried_rival(address)
        if old is not None:
            if now_s - old.last_success < REPLACEMENT_S:
                return True
            if now_s - old.last_try < REPLACEMENT_S:
                if now_s - old.last_try <= _MINUTE_S:
                    return False  # it is being tried
            elif now_s - entry.last_success <= TEST_WINDOW_S:
                return False
        self._good(address, now_s, test_before_evict=False)
        return True

    def select_tried_collision(self) -> PeerAddress | None:
        """An address to dial, since another waits for its place. Core: SelectTriedCollision."""
        waiting = [address for address in self._collisions if self._tried_rival(address)]
        if not waiting:
            return None
        old = self._tried_rival(waiting[self._dice.below(len(waiting))])
        return old.told if old else None

    def _tried_rival(self, address: NetAddress) -> AddressEntry | None:
        bucket = self._tried_bucket(address)
        return self._tried.get(bucket, self._position("K", bucket, address))

    # Choosing.

    def select(self, *, now_s: int, new_only: bool = False) -> AddressEntry | None:
        """An address to dial: as often one that we have spoken to as one that we have not.

        Those that failed lately are less likely.
        """
        tables = [table for table in (self._tried, self._new) if table.buckets]
        if new_only:
            tables = [self._new] if self._new.buckets else []
        if not tables:
            return None
        table = tables[self._dice.below(len(tables))]
        factor = _CERTAIN
        while True:
            entry = table.pick(self._dice)
            chance = entry.chance(now_s) * factor // _CERTAIN
            if self._dice.below(_CERTAIN) < chance:
                return entry
            factor = factor * 6 // 5

    def get_addr(
        self,
        *,
        now_s: int,
        max_addresses: int = 0,
        max_pct: int = 0,
        network: Network | None = None,
    ) -> list[PeerAddress]:
        """Addresses to tell others, chosen by chance. Zero stands for no limit. Core: GetAddr."""
        chosen: list[PeerAddress] = []
        limit = len(self._list)
        if max_pct:
            limit = limit * max_pct // 100
        if max_addresses:
            limit = min(limit, max_addresses)
        for n in range(len(self._list)):
            if len(chosen) >= limit:
                break
            self._swap(n, n + self._dice.below(len(self._list) - n))
            entry = self._list[n]
            is_wanted = network is None or entry.address.network == network
            if is_wanted and not entry.is_terrible(now_s):
                chosen.append(entry.told)
        return chosen

    # The tables.

    def _create(
        self, address: NetAddress, services: int, time: int, source: NetAddress
    ) -> AddressEntry:
        entry = AddressEntry(address, services, time, source)
        entry.place = len(self._list)
        self._entries[address] = entry
        self._list.append(entry)
        self._new_count += 1
        return entry

    def _delete(self, entry: AddressEntry) -> None:
        self._swap(entry.place, len(self._list) - 1)
        self._list.pop()
        del self._entries[entry.address]
        self._collisions.pop(entry.address, None)
        self._new_count -= 1

    def _swap(self, one: int, other: int) -> None:
        first, second = self._list[one], self._list[other]
        self._list[one], self._list[other] = second, first
        first.place, second.place = other, one

    def _put_in_new(self, entry: AddressEntry, bucket: int, position: int) -> None:
        self._new.put(bucket, position, entry)
        entry.new_buckets.append(bucket)

    def _clear_new(self, bucket: int, position: int) -> None:
        entry = self._new.buckets[bucket][position]
        self._new.remove(bucket, position)
        entry.new_buckets.remove(bucket)
        if not entry.new_buckets:
            self._delete(entry)

    def _new_bucket(self, address: NetAddress, source: NetAddress) -> int:
        group, source_group = var_bytes(address.group()), var_bytes(source.group())
        within = self._hash(group + source_group) % NEW_BUCKETS_PER_SOURCE_GROUP
        return self._hash(source_group + u64(within)) % NEW_BUCKETS

    def _tried_bucket(self, address: NetAddress) -> int:
        within = self._hash(_key_of(address)) % TRIED_BUCKETS_PER_GROUP
        return self._hash(var_bytes(address.group()) + u64(within)) % TRIED_BUCKETS

    def _position(self, table: str, bucket: int, address: NetAddress) -> int:
        return self._hash(table.encode() + u32(bucket) + _key_of(address)) % BUCKET_SIZE

    def _hash(self, data: bytes) -> int:
        return int.from_bytes(sha256d(self._key + data)[:8], "little")

    # Keeping.

    def encode(self) -> bytes:
        """All that is to be kept: a format byte, the key, and each entry with its places."""
        parts = [bytes((_FORMAT,)), self._key, compact_size(len(self._list))]
        for entry in self._list:
            buckets = [u16(bucket) for bucket in entry.new_buckets]
            parts += (
                _encode_address(entry.address),
                u64(entry.services),
                i64(entry.time),
                _encode_address(entry.source),
                i64(entry.last_try),
                i64(entry.last_success),
                u32(entry.attempts),
                compact_size(len(buckets)),  # none: it is in the tried table
                *buckets,
            )
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes, dice: Dice, *, routable_only: bool = True) -> "AddrMan":
        """What `encode` wrote. Raises DecodeError for anything else."""
        r = Reader(data)
        if r.u8() != _FORMAT:
            raise Malformed("addresses kept in a format of another version")
        self = cls(r.take(KEY_BYTES), dice, routable_only=routable_only)
        for _ in range(r.compact_size(_MAX_ENTRIES)):
            self._restore(r)
        r.finish()
        return self

    def _restore(self, r: Reader) -> None:
        address, services, time = _decode_address(r), r.u64(), r.i64()
        if address in self._entries:
            raise Malformed(f"{address} is kept twice")
        entry = self._create(address, services, time, _decode_address(r))
        entry.last_try, entry.last_success, entry.attempts = r.i64(), r.i64(), r.u32()
        buckets = [r.u16() for _ in range(r.compact_size(NEW_BUCKETS_PER_ADDRESS))]
        if not buckets:
            self._new_count -= 1
            entry.in_tried = True
            bucket = self._tried_bucket(address)
            position = self._position("K", bucket, address)
            if self._tried.get(bucket, position) is not None:
                raise Malformed(f"{address} is kept in a place that is taken")
            self._tried.put(bucket, position, entry)
        for bucket in buckets:
            position = self._position("N", bucket, address)
            if bucket >= NEW_BUCKETS or self._new.get(bucket, position) is not None:
                raise Malformed(f"{address} is kept in a place that is taken")
            self._put_in_new(entry, bucket, position)


def _key_of(address: NetAddress) -> bytes:
    """What tells it from all others."""
    network, host, port = address
    return bytes((network,)) + var_bytes(host) + u16(port)


def _encode_address(address: NetAddress) -> bytes:
    return _key_of(address)


def _decode_address(r: Reader) -> NetAddress:
    address = NetAddress(r.u8(), r.var_bytes(32), r.u16())
    if not address.is_valid:
        raise Malformed("an address of a kind that is not kept")
    return address
