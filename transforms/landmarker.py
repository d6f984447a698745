"""MediaPipe's HandLandmarker, tamed: results that depend on the frames given and on nothing before them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from handstream.transforms.landmarks import Hand
from handstream.transforms.video import MediaError, Picture

MOST_BYTES = 2**31
"""Of a picture: from here on MediaPipe ends the process by a segmentation fault."""


def import_mediapipe() -> Any:
    """MediaPipe without TensorFlow, which it imports for a decorator of its documentation wherever it is installed."""
    if "mediapipe" not in sys.modules and "tensorflow" not in sys.modules:
        # None makes the import fail with ModuleNotFoundError, which MediaPipe catches.
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
        try:
            import mediapipe
        finally:
            del sys.modules["tensorflow"]
    import mediapipe

    return mediapipe


class HandLandmarker:
    """One landmarker of MediaPipe Tasks.

    It does not survive a fork and its finaliser can deadlock, so it is made where it is used and closed by `close`.
    """

    _BLANK = np.zeros((64, 64, 3), np.uint8)

    def __init__(self, model: bytes, running_mode: str, num_hands: int) -> None:
        """
        Args:
            model: the contents of hand_landmarker.task.
            running_mode: "video" follows hands from frame to frame; "image" looks at each for itself.
            num_hands: the most hands found in a frame.
        """
        self._mp = import_mediapipe()
        from mediapipe.tasks.python import BaseOptions, vision

        self._video = running_mode == "video"
        self._clock_ms = 0
        self._fresh = True
        self._landmarker = vision.HandLandmarker.create_from_options(
            vision.HandLandmarkerOptions(
                base_options=BaseOptions(model_asset_buffer=model),
                running_mode=vision.RunningMode.VIDEO if self._video else vision.RunningMode.IMAGE,
                num_hands=num_hands,
            )
        )

    def reset(self) -> None:
        """Forget all frames before.

        One blank frame makes a landmarker bit-identical to a new one; a jump in time does not.
        """
        if self._video and not self._fresh:
            self._detect(self._BLANK)
            self._fresh = True

    def detect(self, picture: Picture) -> list[Hand]:
        """The hands in the next frame."""
        self._fresh = False
        result = self._detect(picture)
        hands = []
        for category, points, world in zip(
            result.handedness, result.hand_landmarks, result.hand_world_landmarks, strict=True
        ):
            score = category[0].score
            hands.append(
                Hand(
                    score if category[0].category_name == "Right" else 1 - score,
                    np.array([(p.x, p.y, p.z) for p in points], np.float32),
                    np.array([(p.x, p.y, p.z) for p in world], np.float32),
                )
            )
        return hands

    def _detect(self, picture: Picture) -> Any:
        if picture.size >= MOST_BYTES:
            height, width = picture.shape[:2]
            raise MediaError(f"a picture of {width}x{height} is too large for MediaPipe")
        # mp.Image reads an array that is not contiguous wrongly, and says nothing.
        image = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        if not self._video:
            return self._landmarker.detect(image)
        # The times must increase; their values do not change the result.
        self._clock_ms += 33
        return self._landmarker.detect_for_video(image, self._clock_ms)

    def close(self) -> None:
        self._landmarker.close()
