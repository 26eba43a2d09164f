"""Carving by content."""

import hashlib

import numpy as np
import pytest

from lejepa_core.datasets.splits import SPLITS, carve, check_splits
from lejepa_core.errors import DataError

TRAIN, VAL, TEST = range(3)
SHARES = {"val": 0.15, "test": 0.15}


def digests(n: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(n)]


def zeros(n: int) -> np.ndarray:
    return np.zeros(n, dtype=np.int64)


@pytest.mark.parametrize(("n", "held_out"), [(1, 0), (2, 0), (3, 1), (4, 1), (10, 2), (20, 3), (100, 15)])
def test_shares_are_rounded_and_three_images_fill_three_splits(n: int, held_out: int) -> None:
    codes = carve(zeros(n), zeros(n), digests(n), SHARES)
    assert np.bincount(codes, minlength=3).tolist() == [n - 2 * held_out, held_out, held_out]


def test_first_hashes_of_each_class_are_test_then_val() -> None:
    names = digests(40)
    labels = np.arange(40) % 2
    codes = carve(labels, zeros(40), names, SHARES)
    for label in (0, 1):
        ordered = sorted((name, code) for name, code, own in zip(names, codes, labels, strict=True) if own == label)
        assert [code for _, code in ordered] == [TEST] * 3 + [VAL] * 3 + [TRAIN] * 14


def test_order_of_the_images_does_not_matter() -> None:
    names, labels = digests(60), np.arange(60) % 3
    shuffle = np.random.default_rng(0).permutation(60)
    codes = carve(labels, zeros(60), names, SHARES)
    again = carve(labels[shuffle], zeros(60), [names[i] for i in shuffle], SHARES)
    assert np.array_equal(codes[shuffle], again)


def test_identical_images_share_a_split_within_and_across_classes() -> None:
    names = digests(30) * 2 + digests(30)  # the third copy is in another class
    labels = np.repeat([0, 0, 1], 30)
    codes = carve(labels, zeros(90), names, SHARES).reshape(3, 30)
    assert np.array_equal(codes[0], codes[1])
    assert np.array_equal(codes[0], codes[2])
    assert set(codes[0]) == {TRAIN, VAL, TEST}


def test_declared_splits_stay_as_they_are() -> None:
    declared = np.array([TRAIN] * 20 + [TEST] * 5)
    codes = carve(zeros(25), declared, digests(25), {"val": 0.15})
    assert (codes[20:] == TEST).all()
    assert np.bincount(codes[:20], minlength=3).tolist() == [17, 3, 0]


@pytest.mark.parametrize("empty", range(3))
def test_empty_split_is_named(empty: int) -> None:
    codes = np.array([code for code in range(3) if code != empty] * 2)
    with pytest.raises(DataError, match=f"split '{SPLITS[empty]}' is empty"):
        check_splits("x", zeros(4), codes, ())
