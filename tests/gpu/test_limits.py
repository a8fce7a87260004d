"""Launch limits: the table's own consistency, and each message with its numbers and cure."""

import math

import pytest

from workshop.errors import LaunchError, Loc
from workshop.gpu.limits import LIMITS, DeviceAttribute, DeviceLimits, check_launch, limits_of

H100 = LIMITS["H100"]
ONE = (1, 1, 1)


def message(
    limits: DeviceLimits, grid: tuple[int, int, int], block: tuple[int, int, int], shared: int = 0
) -> str:
    with pytest.raises(LaunchError) as caught:
        check_launch(limits, "tile", grid, block, shared)
    return caught.value.message


def test_too_many_threads_says_how_to_split_them() -> None:
    assert message(H100, ONE, (2048, 1, 1)) == (
        "block_dim=(2048, 1, 1) has 2048 threads; NVIDIA H100 allows 1024 per block. "
        "Use more blocks: grid_dim=(2, 1, 1) with block_dim=1024."
    )


def test_too_many_threads__2d_keeps_x_and_cuts_y() -> None:
    assert message(H100, (3, 5, 1), (64, 64, 1)) == (
        "block_dim=(64, 64, 1) has 4096 threads; NVIDIA H100 allows 1024 per block. "
        "Use more blocks: grid_dim=(3, 20, 1) with block_dim=(64, 16, 1)."
    )


@pytest.mark.parametrize("limits", LIMITS.values(), ids=lambda gpu: gpu.name)
@pytest.mark.parametrize(
    ("grid", "block"),
    [(ONE, (5000, 1, 1)), ((3, 1, 2), (10, 30, 40)), (ONE, (1, 1, 3000)), ((7, 1, 1), (1500, 3, 1))],
)
def test_the_cure_fits_and_covers_every_thread(
    limits: DeviceLimits, grid: tuple[int, int, int], block: tuple[int, int, int]
) -> None:
    text = message(limits, grid, block)
    new_grid, new_block = text.rstrip(".").split("grid_dim=")[-1].split(" with block_dim=")
    fixed_grid, parsed = eval(new_grid), eval(new_block)
    fixed_block = parsed if isinstance(parsed, tuple) else (parsed, 1, 1)
    check_launch(limits, "tile", fixed_grid, fixed_block)
    for axis in range(3):
        assert fixed_grid[axis] * fixed_block[axis] >= grid[axis] * block[axis]


def test_block_axis_z_is_64_on_nvidia_and_1024_on_amd() -> None:
    assert message(H100, ONE, (1, 1, 128)) == (
        "block_dim=(1, 1, 128) is 128 along z; NVIDIA H100 allows 64 along z. "
        "Use more blocks: grid_dim=(1, 1, 2) with block_dim=(1, 1, 64)."
    )
    check_launch(LIMITS["MI300X"], "tile", ONE, (1, 1, 128))


def test_grid_axes() -> None:
    assert message(H100, (1, 65536, 1), ONE) == (
        "grid_dim=(1, 65536, 1) has 65536 blocks along y; NVIDIA H100 allows 65535 along y. "
        "Put the long axis on x, which allows 2147483647."
    )
    assert "2147483648 blocks along x" in message(H100, (2**31, 1, 1), ONE)
    check_launch(H100, "tile", (2**31 - 1, 65535, 65535), ONE)


def test_empty_and_negative_launches() -> None:
    assert message(H100, (0, 1, 1), ONE) == (
        "grid_dim=(0, 1, 1) has no blocks. Every extent must be at least 1; "
        "where there is nothing to do, do not launch `tile`."
    )
    assert message(H100, ONE, (4, 0, 1)).startswith("block_dim=(4, 0, 1) has no threads.")
    assert message(H100, (-2, 1, 1), ONE).startswith("grid_dim=(-2, 1, 1) has a negative extent (-2).")


def test_static_shared_memory_is_48_KB_on_nvidia_and_64_KB_on_amd() -> None:
    check_launch(H100, "tile", ONE, ONE, 48 * 1024)
    assert message(H100, ONE, ONE, 64 * 1024) == (
        "`tile` allocates 65536 bytes of shared memory; NVIDIA H100 allows 49152 (48 KB) per block. "
        "Use a smaller tile: 1.33 times less would fit."
    )
    check_launch(LIMITS["MI300X"], "tile", ONE, ONE, 64 * 1024)
    assert "AMD MI300X allows 65536 (64 KB)" in message(LIMITS["MI300X"], ONE, ONE, 65537)


def test_the_error_carries_the_users_line() -> None:
    loc = Loc("nowhere.py", 7)
    with pytest.raises(LaunchError) as caught:
        check_launch(H100, "tile", ONE, (2048, 1, 1), loc=loc)
    assert caught.value.loc == loc


def test_names_are_forgiving_and_a_typo_gets_a_suggestion() -> None:
    assert limits_of("NVIDIA GeForce RTX 4090") is LIMITS["RTX 4090"]
    with pytest.raises(LaunchError, match=r"limits='H10' names no GPU of the table\. Did you mean 'H100'\?"):
        limits_of("H10")
    with pytest.raises(LaunchError, match="table. Known: H100, A100, A10, L4, T4, RTX 4090, MI300X"):
        limits_of("abacus")


@pytest.mark.parametrize("limits", LIMITS.values(), ids=lambda gpu: gpu.name)
def test_the_table_agrees_with_itself(limits: DeviceLimits) -> None:
    for attribute in DeviceAttribute:
        assert limits.attribute(attribute) >= (
            0 if attribute == DeviceAttribute.COMPUTE_CAPABILITY_MINOR else 1
        )
    assert limits.shared_per_block <= limits.shared_per_block_optin <= limits.shared_per_sm
    assert limits.warp_size == (64 if limits.name.startswith("AMD") else 32)
    lanes = {"sm_75": 64, "sm_80": 64}.get(limits.arch, 128)
    peak = limits.sm_count * lanes * 2 * limits.clock  # a fused multiply-add is two operations
    assert math.isclose(limits.flops_float32, peak, rel_tol=0.01)


def test_attributes_answer_in_the_drivers_units() -> None:
    assert H100.attribute(DeviceAttribute.CLOCK_RATE) == 1_980_000
    assert H100.attribute(DeviceAttribute.MAX_BLOCK_DIM_Z) == 64
    assert H100.attribute(DeviceAttribute.MAX_GRID_DIM_X) == 2**31 - 1
    assert H100.attribute(DeviceAttribute.COMPUTE_CAPABILITY_MAJOR) == 9
    assert LIMITS["T4"].attribute(DeviceAttribute.COMPUTE_CAPABILITY_MINOR) == 5
