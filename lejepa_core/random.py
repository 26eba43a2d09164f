"""Counter-based randomness: every number is a pure function of who asks for it, never of when or with whom.

A generator has to be advanced in an order, so its numbers depend on the batch, the rank and the worker count.
Philox (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC'11) has no order: it
turns a counter and a key into four words. Here the key is a hash of (seed, stream, epoch) and the counter is
(draw // 4, view, low and high half of the sample's index).

It uses integer products and bit operations alone, so all devices agree bit for bit.
"""

import hashlib
import operator

import torch
from jaxtyping import Float, Int
from torch import Tensor

WORD = 0xFFFFFFFF
"""Mask of 32 bits."""
_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed for a `torch.Generator`, from whatever names the place where it is used.

    Args:
        *parts: Integers and texts, in an order that matters: `1, "2"` and `"1", 2` give different seeds.

    Returns:
        An integer in [0, 2^63), the same on every machine and Python version.

    Raises:
        TypeError: If a part is neither a text nor an integer.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        kind, text = ("s", part) if isinstance(part, str) else ("i", str(operator.index(part)))
        encoded = text.encode()
        digest.update(f"{kind}{len(encoded)}:".encode() + encoded)
    return int.from_bytes(digest.digest(), "little") >> 1


def philox4x32(counter: Int[Tensor, "*shape 4"], key: tuple[int, int]) -> Int[Tensor, "*shape 4"]:
    """Philox4x32-10 of every counter.

    Args:
        counter: 32-bit words in int64.
        key: Two 32-bit words.

    Returns:
        32-bit words in int64, uniform in [0, 2^32).

    Source:
        Salmon et al., SC'11, section 3.3 and Random123's `philox.h`.
    """
    c0, c1, c2, c3 = counter.unbind(-1)
    k0, k1 = key
    for _ in range(_ROUNDS):
        # The 64-bit products wrap, which leaves their bits right; the mask removes the sign's extension.
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0 = (product1 >> 32).bitwise_and_(WORD).bitwise_xor_(c1).bitwise_xor_(k0)
        c2 = (product0 >> 32).bitwise_and_(WORD).bitwise_xor_(c3).bitwise_xor_(k1)
        c1, c3 = product1.bitwise_and_(WORD), product0.bitwise_and_(WORD)
        k0, k1 = (k0 + _WEYL[0]) & WORD, (k1 + _WEYL[1]) & WORD
    return torch.stack((c0, c1, c2, c3), dim=-1)


def uniforms(
    *,
    seed: int,
    stream: str,
    epoch: int,
    samples: Int[Tensor, " n"],
    views: int,
    draws: int,
    first_view: int = 0,
) -> Float[Tensor, "views n draws"]:
    """Uniform numbers that belong to a sample and a view, not to a batch.

    Asking for more draws or views leaves the earlier ones as they were.

    Args:
        seed: Seed of the run.
        stream: What the numbers are for; two streams are independent.
        epoch: Epoch.
        samples: Index of each sample in the data set, on the device that gets the numbers.
        views: How many views.
        draws: How many numbers for each sample and view.
        first_view: Index of the first view.

    Returns:
        Float32 in [0, 1), multiples of 2^-24.
    """
    device, blocks = samples.device, -(-draws // 4)
    key = derive_seed(seed, stream, epoch)
    view = torch.arange(first_view, first_view + views, device=device)
    index = samples.long()
    shape = (views, len(samples), blocks)
    words = (
        torch.arange(blocks, device=device).expand(shape),
        view[:, None, None].expand(shape),
        (index & WORD)[:, None].expand(shape),
        ((index >> 32) & WORD)[:, None].expand(shape),
    )
    bits = philox4x32(torch.stack(words, dim=-1), (key & WORD, key >> 32))
    return (bits.flatten(2)[..., :draws] >> 8).float() * 2.0**-24
