"""What a block header must be, in itself and on top of the headers below it."""

from drystone.consensus.errors import BlockInvalid, BlockPremature
from drystone.consensus.params import MAX_TIMEWARP_S, Params
from drystone.consensus.pow import is_proof_of_work
from drystone.primitives.block import BlockHeader


def check_header(header: BlockHeader, params: Params) -> None:
    """All that can be said of a header by itself. Core: CheckBlockHeader.

    Raises BlockInvalid.
    """
    if not params.pow_assumed:
        check_work(header, params.pow_limit)


def check_work(header: BlockHeader, pow_limit: int) -> None:
    """The hash meets the target that the header claims. Core: CheckProofOfWork.

    Raises BlockInvalid("high-hash").
    """
    if not is_proof_of_work(header.hash, header.bits, pow_limit):
        raise BlockInvalid("high-hash", "the hash is above the target that the header claims")


def contextual_check_header(
    header: BlockHeader,
    previous: BlockHeader,
    *,
    height: int,
    expected_bits: int,
    previous_median_time: int,
    max_time: int,
    params: Params,
) -> None:
    """All that can be said of a header on top of its chain. Core: ContextualCheckBlockHeader.

    height: the header's own. expected_bits: by `pow`'s retargeting. previous_median_time: median
    time past of the previous block. max_time: the latest that we take, two hours from now
    (MAX_FUTURE_BLOCK_TIME_S).

    Raises BlockInvalid, or BlockPremature if only the clock stands against it.
    """
    check_bits(header, expected_bits)
    check_later_than_median(header, previous_median_time)
    if params.enforce_bip94 and height % params.retarget_interval == 0:
        check_no_timewarp(header, previous)
    check_not_from_the_future(header, max_time)
    if height >= params.bip34_height:
        check_version(header, 2)
    if height >= params.bip66_height:
        check_version(header, 3)
    if height >= params.bip65_height:
        check_version(header, 4)


def check_bits(header: BlockHeader, expected_bits: int) -> None:
    """The target is the one that the chain below calls for. Core: GetNextWorkRequired.

    Raises BlockInvalid("bad-diffbits").
    """
    if header.bits != expected_bits:
        raise BlockInvalid("bad-diffbits", f"{header.bits:08x}, expected {expected_bits:08x}")


def check_later_than_median(header: BlockHeader, previous_median_time: int) -> None:
    """Time is past the median of the eleven blocks below. Core: ContextualCheckBlockHeader.

    So a block's time may be before the previous one's, but the median, by which BIP113 measures
    lock times, never goes back. Raises BlockInvalid("time-too-old").
    """
    if header.time <= previous_median_time:
        raise BlockInvalid("time-too-old", f"{header.time}, the median is {previous_median_time}")


def check_no_timewarp(header: BlockHeader, previous: BlockHeader) -> None:
    """A retargeting period begins at most ten minutes before the previous one's end (BIP94).

    Since a period is measured from its own first block, its first time could otherwise be set
    far back, and the next target would come out too easy. Core: ContextualCheckBlockHeader.
    Raises BlockInvalid("time-timewarp-attack").
    """
    if header.time < previous.time - MAX_TIMEWARP_S:
        raise BlockInvalid("time-timewarp-attack", f"{previous.time - header.time} seconds back")


def check_not_from_the_future(header: BlockHeader, max_time: int) -> None:
    """Time is not too far ahead of the clock. Core: ContextualCheckBlockHeader.

    Raises BlockPremature("time-too-new").
    """
    if header.time > max_time:
        raise BlockPremature("time-too-new", f"{header.time}, at most {max_time} by now")


def check_version(header: BlockHeader, least: int) -> None:
    """Versions 2 (BIP34), 3 (BIP66) and 4 (BIP65) say that a miner keeps that BIP's rule.

    Later soft forks signal by version bits instead (BIP9) and leave this to the numbers above.
    Core: ContextualCheckBlockHeader. Raises BlockInvalid("bad-version(0x...)").
    """
    if header.version < least:
        raise BlockInvalid(f"bad-version(0x{header.version & 0xFFFFFFFF:08x})", f"below {least}")
