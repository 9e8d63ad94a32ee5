"""Poses of a robot's end effector and the changes between them, as V-JEPA 2-AC was trained on (spec section A5).

A pose is seven numbers: x, y, z in metres in the robot's base frame; three Euler angles in radians, extrinsic xyz, so
R = Rz(c) Ry(b) Rx(a); the gripper's closedness, 0 open to 1 closed. An action is the change between neighbouring poses.
Vectorised over any leading axes and run where the poses lie; rotations are float64 throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor

NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
UNITS = ("m", "m", "m", "rad", "rad", "rad", "closedness")
SIZE = len(NAMES)


def rotation(angles: Tensor) -> Tensor:
    """Extrinsic xyz Euler angles (..., 3) → rotation matrices (..., 3, 3) float64."""
    a, b, c = angles.double().unbind(-1)
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    x = _matrix((one, zero, zero), (zero, a.cos(), -a.sin()), (zero, a.sin(), a.cos()))
    y = _matrix((b.cos(), zero, b.sin()), (zero, one, zero), (-b.sin(), zero, b.cos()))
    z = _matrix((c.cos(), -c.sin(), zero), (c.sin(), c.cos(), zero), (zero, zero, one))
    return z @ y @ x


def angles_of(matrix: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) → Euler angles (..., 3), roll and yaw in (-pi, pi], pitch in [-pi/2, pi/2].

    The angles of one rotation are not unique, so those that went in need not come out; near pitch ±pi/2 (gimbal lock)
    roll and yaw are ill-determined and only the rotation they stand for is meaningful.
    """
    roll = torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2])
    pitch = torch.atan2(-matrix[..., 2, 0], torch.hypot(matrix[..., 2, 1], matrix[..., 2, 2]))
    yaw = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return torch.stack((roll, pitch, yaw), dim=-1)


def integrate(pose: Tensor, action: Tensor) -> Tensor:
    """The pose after an action: positions add, the action's rotation is applied on the left, the gripper stays in 0..1.

    pose, action   (..., 7)
    returns        (..., 7) in the pose's dtype; sums are made in that dtype, the rotation in float64
    """
    turned = angles_of(rotation(action[..., 3:6]) @ rotation(pose[..., 3:6]))
    position = pose[..., :3] + action[..., :3].to(pose.dtype)
    gripper = (pose[..., 6:] + action[..., 6:].to(pose.dtype)).clamp(0.0, 1.0)
    return torch.cat((position, turned.to(pose.dtype), gripper), dim=-1)


def difference(start: Tensor, end: Tensor) -> Tensor:
    """The action that leads from one pose to another.

    start, end   (..., 7); positions and gripper are subtracted in their own dtype and only then widened, as in training
    returns      (..., 7) float64
    """
    turned = angles_of(rotation(end[..., 3:6]) @ rotation(start[..., 3:6]).transpose(-1, -2))
    position, gripper = end[..., :3] - start[..., :3], end[..., 6:] - start[..., 6:]
    return torch.cat((position.double(), turned, gripper.double()), dim=-1)


def actions_between(poses: Tensor) -> Tensor:
    """Actions between neighbours in time. poses (..., T, 7) → (..., T - 1, 7) float64"""
    return difference(poses[..., :-1, :], poses[..., 1:, :])


def in_camera_frame(pose: Tensor, camera: Tensor) -> Tensor:
    """A pose as the camera would state it; off in the released configuration.

    pose     (..., 7) in the robot's base frame
    camera   (..., 6) position and Euler angles of the camera in the same frame
    returns  (..., 7) float64; the gripper is untouched
    """
    back = rotation(camera[..., 3:6]).transpose(-1, -2)
    offset = pose[..., :3].double() - camera[..., :3].double()
    position = (back @ offset[..., None])[..., 0]
    turned = angles_of(back @ rotation(pose[..., 3:6]))
    return torch.cat((position, turned, pose[..., 6:].double()), dim=-1)


def _matrix(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
