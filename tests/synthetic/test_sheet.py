from __future__ import annotations

import cv2
import numpy as np
from handstream.synthetic.clip import encode_video
from handstream.synthetic.sheet import CELL_WIDTH, COLUMNS, contact_sheet


def clip(frames):
    return encode_video([np.full((60, 80, 3), 8 * i, np.uint8) for i in range(frames)], 80, 60, 10)


def test_short_and_long_clips_are_rows_of_one_width_with_time_to_the_right():
    sheet = cv2.imdecode(np.frombuffer(contact_sheet([clip(2), clip(25)]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (2 * CELL_WIDTH * 60 // 80, COLUMNS * CELL_WIDTH)
    long = sheet[-1, CELL_WIDTH // 2 :: CELL_WIDTH].astype(int)
    assert (np.diff(long) > 10).all()
