"""Who sits in front of the window, and what they get to see and do. Plain data, no Qt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    id: str
    title: str
    purpose: str
    screen: str  # where a file that is opened leads


OPERATOR = Role("operator", "Operator", "Watches live predictions, overrides and marks.", "live")
REVIEWER = Role("reviewer", "Reviewer", "Replays recorded sessions and checks them.", "replay")

ROLES: dict[str, Role] = {role.id: role for role in (OPERATOR, REVIEWER)}
EVERY_ROLE = frozenset(ROLES)
