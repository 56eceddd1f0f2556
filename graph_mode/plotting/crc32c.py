"""CRC-32C (Castagnoli) in NumPy, for many byte strings of one length at once.

A table look-up for each byte in Python would take ten seconds for 100 MB. Here the look-ups run
down the columns of a matrix, one row for each string or for each piece of a long string.
"""

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78
MASK_DELTA = 0xA282EAD8
PIECE_BYTES = 64
SEGMENT_BYTES = 1 << 20


def masked_crc32c(rows):
    """The checksum that event files store: CRC-32C, rotated right by 15 bits, plus a constant.

    Args:
        rows: uint8 [n, length].

    Returns:
        uint32 [n].

    Source: tensorflow/core/lib/hash/crc32c.h (kMaskDelta).
    """
    crc = crc32c(rows)
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(MASK_DELTA)


def crc32c(rows):
    """CRC-32C (RFC 3720) of each row. Takes uint8 [n, length], gives uint32 [n]."""
    state = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    # A long row goes in segments, so that the working copies stay small whatever its length.
    step = max(PIECE_BYTES, SEGMENT_BYTES // max(1, len(rows)))
    for start in range(0, rows.shape[1], step):
        state = advance(state, rows[:, start : start + step])
    return ~state


def advance(state, rows):
    """The states uint32 [n] after the bytes uint8 [n, length] have gone through the register."""
    length = rows.shape[1]
    if length <= 2 * PIECE_BYTES:
        return advance_by_columns(state, rows)
    # The register is linear: a state can be added (xor) to the first four bytes, zeros in front
    # change nothing, and pieces can be advanced side by side and joined afterwards.
    pieces = 1 << (-(-length // PIECE_BYTES) - 1).bit_length()
    padded = np.zeros((len(rows), pieces * PIECE_BYTES), np.uint8)
    padded[:, -length:] = rows
    padded[:, -length : padded.shape[1] - length + 4] ^= (
        state.astype("<u4").view(np.uint8).reshape(-1, 4)
    )
    joined = advance_by_columns(
        np.zeros(len(rows) * pieces, np.uint32), padded.reshape(-1, PIECE_BYTES)
    ).reshape(len(rows), pieces)
    doublings = 0
    while joined.shape[1] > 1:
        joined = advance_by_zeros(joined[:, 0::2], doublings) ^ joined[:, 1::2]
        doublings += 1
    return joined[:, 0]


def advance_by_columns(state, rows):
    table = byte_table()
    for column in np.ascontiguousarray(rows.T):
        state = table[(state ^ column) & np.uint32(0xFF)] ^ (state >> np.uint32(8))
    return state


def advance_by_zeros(state, doublings):
    """The states after PIECE_BYTES * 2**doublings zero bytes: one look-up for each of 4 bytes."""
    tables = zero_tables(doublings)
    moved = tables[0][state & np.uint32(0xFF)]
    for index in (1, 2, 3):
        moved ^= tables[index][(state >> np.uint32(8 * index)) & np.uint32(0xFF)]
    return moved


@functools.lru_cache(maxsize=None)
def zero_tables(doublings):
    """uint32 [4, 256]: where each value of each byte of the state goes, see advance_by_zeros."""
    if doublings:
        return advance_by_zeros(zero_tables(doublings - 1), doublings - 1)
    values = np.arange(256, dtype=np.uint32)
    states = np.concatenate([values << np.uint32(8 * index) for index in range(4)])
    zeros = np.zeros((len(states), PIECE_BYTES), np.uint8)
    return advance_by_columns(states, zeros).reshape(4, 256)


@functools.lru_cache(maxsize=None)
def byte_table():
    """uint32 [256]: the state after one byte, from a state of zero."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (np.uint32(POLYNOMIAL) * (table & np.uint32(1)))
    return table
