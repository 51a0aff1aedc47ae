"""What metrics are called: FID, KID and the inception score are Inception's; another public network has its own.

Imports nothing: reports ask too.
"""

from __future__ import annotations

DISTANCE = "FD-"  # begins what a network calls the Fréchet distance of its features: FD-DINOv2 (Stein et al. 2023)

CLIP = "CLIP"  # whose embeddings CMMD is defined by


def called(text: str, distance: str | None) -> str:
    """A text that names metrics, with the names of a network's own; distance: FD-NETWORK, None where they are usual."""
    if distance is None:
        return text
    network = distance.removeprefix(DISTANCE)
    own = {"FID": distance, "KID": f"KD-{network}", "Inception score": f"{network} score"}
    if network != CLIP:
        own["CMMD"] = f"MMD-{network}"
    for usual, name in own.items():
        text = text.replace(usual, name)
    return f"{network} score" if text == "IS" else text
