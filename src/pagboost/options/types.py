"""The types that options are made of: what a number may be is said once, here."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from msgspec import Meta

MOST = 2**31 - 1  # of what is counted, and held in memory
LARGEST = 1e30  # 32-bit numbers end at 3e38, and are squared
SMALLEST = sys.float_info.min  # the least number above 0

Count = Annotated[int, Meta(ge=1, le=MOST)]
AtLeast2 = Annotated[int, Meta(ge=2, le=MOST)]
Natural = Annotated[int, Meta(ge=0, le=MOST)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, Meta(ge=1, le=2**16)]
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[float, Meta(ge=SMALLEST, le=LARGEST)]
NotNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]
ShareBelow1 = Annotated[float, Meta(ge=0, lt=1)]
PositiveShare = Annotated[float, Meta(ge=SMALLEST, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Text = Annotated[str, Meta(min_length=1)]
NAME = "a name of lower-case letters, digits and _, a letter first"
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", extra={"words": NAME})]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{8,64}$", extra={"words": "8 to 64 hexadecimal digits"})]

Norm = Literal["l2", "linf"]
Split = Literal["train", "validation", "heldout"]
Source = Literal["paper", "code", "assumed"]
