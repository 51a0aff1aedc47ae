"""Which GPU is meant: nvidia-smi is a made-up one on the path, that prints what real ones do."""

from __future__ import annotations

import os

import pytest

from pagboost.machine import cards

A, B, C = (f"GPU-{letter * 8}-1111-2222-3333-{letter * 12}" for letter in "abc")
PARTS = [f"MIG-{n}0000000-1111-5222-8333-444444444444" for n in range(3)]
TWO = f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})\nGPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})\n"
MIXED = f"GPU 0: NVIDIA T400 (UUID: {A})\nGPU 1: NVIDIA H100 PCIe (UUID: {B})\n"
DIVIDED = f"""GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
  MIG 3g.20gb     Device  0: (UUID: {PARTS[0]})
  MIG 1g.5gb      Device  1: (UUID: {PARTS[1]})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
  MIG 7g.40gb     Device  0: (UUID: {PARTS[2]})
GPU 2: NVIDIA A100-SXM4-40GB (UUID: {C})
"""
OLD = f"GPU 0: A100-PCIE-40GB (UUID: {A})\n  MIG 4g.20gb Device 0: (UUID: MIG-{A}/2/0)\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(listing, code): nvidia-smi is one that prints this; None: there is none."""
    monkeypatch.delenv(cards.PRETENDED, raising=False)

    def become(listing, code=0):
        monkeypatch.setenv("PATH", str(tmp_path))
        if listing is not None:
            file = tmp_path / "nvidia-smi"
            lines = f"while IFS= read -r line; do echo \"$line\"; done <<'END'\n{listing}END"
            file.write_text(f'#!/bin/sh\n[ "$*" = -L ] || exit 9\n{lines}\nexit {code}\n')
            file.chmod(0o755)

    return become


@pytest.mark.parametrize(
    ("listing", "preset", "uuids"),
    [
        (TWO, None, [A, B]),
        (TWO, "", []),
        (TWO, "1", [B]),
        (TWO, "1, 0", [B, A]),
        (TWO, "0,0", [A]),
        (TWO, "0,7,1", [A]),  # as CUDA reads it: what is not there ends the list
        (TWO, "1,-1,0", [B]),
        (TWO, "NoDevFiles", []),  # Slurm's, of a job without a GPU
        (TWO, B, [B]),
        (TWO, "GPU-bb", [B]),
        (TWO, "GPU-BB", [B]),
        (TWO, "GPU-", []),  # of two
        (TWO, f"{C},{A}", []),
        (MIXED, None, [A, B]),
        (MIXED, "GPU-aa", [A]),
        (MIXED, "0", None),  # CUDA's first is the faster one
        (DIVIDED, None, [*PARTS, C]),
        (DIVIDED, "0", PARTS[:1]),
        (DIVIDED, "1,2", [PARTS[2], C]),
        (DIVIDED, PARTS[1], [PARTS[1]]),
        (DIVIDED, f"{PARTS[1]},{PARTS[0]}", [PARTS[1], PARTS[0]]),
        (DIVIDED, A, PARTS[:1]),
        (OLD, f"MIG-{A}/2/0", [f"MIG-{A}/2/0"]),
        ("No devices found.\n", None, []),
        ("GPU 0: Quadro 600 (UUID: N/A)\n", None, None),
        (None, None, None),
        (None, "0", None),
        (None, "GPU-aa", None),
        (None, f"{A},{B}", [A, B]),
        (None, f"{PARTS[1]},MIG-{A}/2/0", [PARTS[1], f"MIG-{A}/2/0"]),
        (None, "", []),
    ],
)
def test_every_name_of_a_card_is_its_uuid(machine, listing, preset, uuids):
    machine(listing)
    assert cards.visible({} if preset is None else {cards.VISIBLE: preset}) == uuids


def test_an_index_follows_the_order_that_was_asked_for(machine):
    machine(MIXED)
    assert cards.visible({cards.VISIBLE: "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == [A]


def test_a_driver_that_fails_is_none(machine):
    """As after its update: "Failed to initialize NVML: Driver/library version mismatch"."""
    machine(TWO, code=18)
    assert cards.visible({}) is None


def test_two_jobs_that_each_see_their_own_card_as_0_mean_two_cards(machine):
    """What a cluster that limits devices shows of one machine: each job a list of one."""
    machine(f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})\n")
    first = cards.visible({cards.VISIBLE: "0"})
    machine(f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {B})\n")
    assert (first, cards.visible({cards.VISIBLE: "0"})) == ([A], [B])


def test_tests_pretend(monkeypatch):
    monkeypatch.setenv(cards.PRETENDED, "GPU-x,GPU-y")
    monkeypatch.setenv(cards.VISIBLE, "1")
    assert cards.visible() == ["GPU-y"]
    assert cards.visible(os.environ | {cards.VISIBLE: "GPU-x"}) == ["GPU-x"]
    monkeypatch.setenv(cards.PRETENDED, "")
    assert cards.visible() == []
