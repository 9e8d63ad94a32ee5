"""Poses: integration and difference as the spec states them, held against rotations written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import poses

ANGLE = st.floats(-math.pi, math.pi)
POSE = st.tuples(*[st.floats(-1, 1)] * 3, ANGLE, st.floats(-1.5, 1.5), ANGLE, st.floats(0, 1))


def by_hand(a: float, b: float, c: float) -> np.ndarray:
    """R = Rz(c) Ry(b) Rx(a), section A5."""
    x = [[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]]
    y = [[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]]
    z = [[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]]
    return np.array(z) @ np.array(y) @ np.array(x)


def rotations(pose: torch.Tensor) -> np.ndarray:
    return np.stack([by_hand(*row) for row in pose.reshape(-1, 7)[:, 3:6].double().tolist()])


@given(POSE, POSE)
def test_action_turns_on_the_left_and_moves_by_sums(pose, action):
    start, change = torch.tensor([pose], dtype=torch.float64), torch.tensor([action], dtype=torch.float64)

    end = poses.integrate(start, change)

    np.testing.assert_allclose(rotations(end), rotations(change) @ rotations(start), atol=1e-9)
    assert torch.equal(end[:, :3], start[:, :3] + change[:, :3])


@given(POSE, POSE)
def test_difference_is_what_leads_from_one_pose_to_the_other(first, second):
    start, end = (torch.tensor([p], dtype=torch.float64) for p in (first, second))

    there = poses.integrate(start, poses.difference(start, end))

    np.testing.assert_allclose(rotations(there), rotations(end), atol=1e-7)
    torch.testing.assert_close(there[:, [0, 1, 2, 6]], end[:, [0, 1, 2, 6]], atol=1e-9, rtol=0)


@given(st.floats(0, 1), st.floats(-1, 1))
def test_gripper_stays_between_open_and_closed(closedness, change):
    pose, action = torch.zeros(1, 7), torch.zeros(1, 7)
    pose[0, 6], action[0, 6] = closedness, change

    end = float(poses.integrate(pose, action)[0, 6])

    assert 0.0 <= end <= 1.0
    assert end == pytest.approx(min(max(closedness + change, 0), 1), abs=1e-6)


@pytest.mark.parametrize("axis", [3, 5])
def test_angle_past_pi_wraps(axis):
    pose, action = torch.zeros(1, 7), torch.zeros(1, 7)
    pose[0, axis], action[0, axis] = 3.0, 0.5

    assert float(poses.integrate(pose, action)[0, axis]) == pytest.approx(3.5 - 2 * math.pi, abs=1e-6)


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2, math.pi / 2 - 1e-4, -math.pi / 2 + 1e-9])
def test_gimbal_lock_keeps_the_rotation_and_stays_finite(pitch):
    """Roll and yaw cannot be told apart there; what they stand for together can."""
    pose = torch.tensor([[0.1, 0.2, 0.3, 0.3, pitch, -0.4, 0.5]], dtype=torch.float64)
    action = torch.zeros(1, 7, dtype=torch.float64)

    end = poses.integrate(pose, action)

    assert torch.isfinite(end).all()
    np.testing.assert_allclose(rotations(end), rotations(pose), atol=1e-7)
    assert abs(float(end[0, 4])) <= math.pi / 2


def test_pitch_beyond_a_quarter_turn_is_stated_anew():
    pose = torch.zeros(1, 7, dtype=torch.float64)
    pose[0, 4] = 2.0

    end = poses.integrate(pose, torch.zeros(1, 7, dtype=torch.float64))

    assert float(end[0, 4]) == pytest.approx(math.pi - 2.0)
    np.testing.assert_allclose(rotations(end), rotations(pose), atol=1e-12)


def test_sums_are_made_in_the_poses_dtype_and_rotations_in_float64():
    pose = torch.tensor([[1e4, 0, 0, 0.1, 0.2, 0.3, 0.5]])
    action = torch.tensor([[1e-4, 0, 0, 0.4, 0.5, 0.6, 0.1]])

    end = poses.integrate(pose, action)
    wanted = poses.integrate(pose.double(), action.double())
    difference = poses.difference(pose, pose + action)

    assert end.dtype == torch.float32
    assert end[0, 0] == pose[0, 0] + action[0, 0]  # the float32 sum, lost digits and all
    assert torch.equal(end[0, 3:6], wanted[0, 3:6].float())
    assert difference.dtype == torch.float64
    assert difference[0, 0] == float((pose + action - pose)[0, 0])
    far = pose.clone()
    far[0, :3] = far[0, 6] = 0.1
    assert poses.difference(far, pose)[0, 0] == float((pose - far)[0, 0])  # in float32, then widened
    assert poses.difference(far, pose)[0, 6] == float((pose - far)[0, 6])
    turned = by_hand(*difference[0, 3:6].tolist()) @ rotations(pose)[0]
    np.testing.assert_allclose(turned, rotations(pose + action)[0], atol=1e-12)


def test_actions_between_are_one_fewer_than_the_poses():
    track = torch.randn(2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    between = poses.actions_between(track)

    assert between.shape == (2, 4, 7)
    assert torch.equal(between[:, 2], poses.difference(track[:, 2], track[:, 3]))


def test_camera_frame_undoes_the_cameras_own_place():
    """A pose that coincides with the camera is the origin, unturned; the gripper is no matter of frames."""
    camera = torch.tensor([[0.3, -0.2, 0.5, 0.4, -0.3, 1.0]], dtype=torch.float64)
    same = torch.cat((camera, torch.tensor([[0.7]], dtype=torch.float64)), dim=1)
    ahead = same.clone()
    ahead[0, :3] += torch.from_numpy(by_hand(0.4, -0.3, 1.0)) @ torch.tensor([0.0, 0.0, 2.0]).double()

    torch.testing.assert_close(
        poses.in_camera_frame(same, camera), torch.tensor([[0, 0, 0, 0, 0, 0, 0.7]]).double()
    )
    torch.testing.assert_close(
        poses.in_camera_frame(ahead, camera), torch.tensor([[0, 0, 2, 0, 0, 0, 0.7]]).double()
    )
