"""XXH3-128 with seed 0 (X2), for inputs above 240 bytes: every segment with a part is longer."""

import struct

MASK = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3, P64_4, P64_5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


def key(offset):
    return struct.unpack_from("<8Q", SECRET, offset)


KEYS = [key(8 * n) for n in range(16)]


def accumulate(acc, data, at, keys):
    values = struct.unpack_from("<8Q", data, at)
    for i in range(8):
        mixed = values[i] ^ keys[i]
        acc[i ^ 1] += values[i]
        acc[i] += (mixed & 0xFFFFFFFF) * (mixed >> 32)
    for i in range(8):
        acc[i] &= MASK


def merge(acc, offset, start):
    keys, total = key(offset), start
    for i in range(0, 8, 2):
        product = (acc[i] ^ keys[i]) * (acc[i + 1] ^ keys[i + 1])
        total += (product & MASK) ^ (product >> 64)
    total &= MASK
    total ^= total >> 37
    total = total * 0x165667919E3779F9 & MASK
    return total ^ total >> 32


def xxh3_128(data):
    """The 128 bits as one number; None for inputs of at most 240 bytes."""
    size = len(data)
    if size <= 240:
        return None
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    blocks = (size - 1) // 1024
    scramble = key(128)
    for block in range(blocks):
        for n in range(16):
            accumulate(acc, data, block * 1024 + n * 64, KEYS[n])
        for i in range(8):
            value = acc[i]
            acc[i] = (value ^ value >> 47 ^ scramble[i]) * P32_1 & MASK
    for n in range((size - 1 - blocks * 1024) // 64):
        accumulate(acc, data, blocks * 1024 + n * 64, KEYS[n])
    accumulate(acc, data, size - 64, key(121))
    return merge(acc, 117, ~(size * P64_2) & MASK) << 64 | merge(acc, 11, size * P64_1 & MASK)
