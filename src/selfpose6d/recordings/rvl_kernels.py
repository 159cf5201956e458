"""Kernel of RVL, the run-length code of 16-bit depth images (Wilson, "Fast lossless depth image compression", 2017)."""

import numba


@numba.njit(cache=True, nogil=True)
def _number(words, nibble):  # pragma: no cover - compiled
    """The number that begins at a nibble, three bits in each, the lowest first, while the top bit says that another
    follows; and the nibble behind it, -1 where the code ends.
    """
    number, shift = 0, 0
    while 0 <= nibble < 8 * len(words):
        group = (words[nibble // 8] >> (28 - 4 * (nibble % 8))) & 0xF
        nibble += 1
        number |= (group & 7) << shift
        shift += 3
        if not group & 8:
            return number, nibble
    return 0, -1


@numba.njit(cache=True, nogil=True)
def decode_rvl(words, pixels):  # pragma: no cover - compiled
    """Fill `pixels` (uint16, flat) from 32-bit words of 8 nibbles, the highest first; False where the code ends early.

    Runs of zeros and of values alternate; values are differences to the last one, their sign in the lowest bit.
    """
    nibble, index, value = 0, 0, 0
    while index < len(pixels):
        zeros, nibble = _number(words, nibble)
        values, nibble = _number(words, nibble)
        if nibble < 0 or index + zeros + values > len(pixels) or zeros + values == 0:
            return False
        pixels[index : index + zeros] = 0
        index += zeros
        for _ in range(values):
            signed, nibble = _number(words, nibble)
            value += (signed >> 1) ^ -(signed & 1)
            pixels[index] = value
            index += 1
        if nibble < 0:
            return False
    return True
