"""Drawing: triangles painted far to near, then shaded a pixel at a time. OpenCV and NumPy alone, no GPU.

MediaPipe tells the palm from the back of a hand by shading: that matters more than anything else here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from handstream.synthetic.anatomy import Array, unit
from handstream.synthetic.camera import Camera
from numpy.typing import NDArray
from scipy import sparse

Triangles = NDArray[np.int32]
Picture = NDArray[np.uint8]

NEAREST = 0.05
"""Metres: what is nearer to a camera is not drawn."""
SHADOW_CELL = 0.006
"""Metres a cell of the map of shadows."""
SUBPIXEL_BITS = 4
OUTSIDE = 0.2
"""Pixels: a centre that lies so far outside a triangle is not in it. Slivers seen edge on leave gaps at less."""


@dataclass(frozen=True, eq=False)
class Texture:
    """Two pictures laid over a mesh, and how much of each a vertex has."""

    place: NDArray[np.float32]
    """[n, 2] pixels in both pictures."""
    dorsal_share: NDArray[np.float32]
    """[n] in [0, 1]"""
    dorsal: NDArray[np.float32]
    palmar: NDArray[np.float32]
    """[height, width, 3] RGB in [0, 1], of the back of the hand and of the palm."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed mesh in the world."""

    vertices: Array
    """[n, 3] metres"""
    triangles: Triangles
    """[m, 3] that face outwards."""
    colour: Texture | tuple[float, float, float]
    """RGB in [0, 1] where it is plain."""
    openness: Array | float = 1.0
    """[n] in [0, 1]: how much of the sky a vertex sees."""
    owner: int = -1
    """Whose it is, for `Depths`."""


@dataclass(frozen=True)
class Light:
    """The sun and the sky."""

    sun: tuple[float, float, float] = (-0.4, 0.7, 0.6)
    """Direction to it."""
    ambient: float = 0.5
    shadow: float = 0.6
    """How dark shadows are that a surface casts on itself."""


@dataclass(frozen=True, eq=False)
class Depths:
    """What stands nearest in each pixel."""

    metres: NDArray[np.float32]
    """[height, width]; infinite where nothing stands."""
    owner: NDArray[np.int16]
    """[height, width] of that surface, -1 where there is none."""

    @classmethod
    def empty(cls, camera: Camera) -> Depths:
        shape = (camera.height, camera.width)
        return cls(np.full(shape, np.inf, np.float32), np.full(shape, -1, np.int16))


@lru_cache(32)
def _vertex_sums(key: tuple[int, int], triangles: bytes) -> sparse.csr_matrix:
    """The matrix that sums what triangles have to their vertices."""
    n, m = key
    corners = np.frombuffer(triangles, np.int32)
    return sparse.csr_matrix((np.ones(3 * m), (corners, np.repeat(np.arange(m), 3))), (n, m))


def vertex_normals(surface: Surface) -> tuple[Array, sparse.csr_matrix]:
    """(unit normals [n, 3], the matrix that sums triangles to vertices)."""
    e = surface.vertices[surface.triangles]
    normals = np.cross(e[:, 1] - e[:, 0], e[:, 2] - e[:, 0])
    sums = _vertex_sums((len(surface.vertices), len(surface.triangles)), surface.triangles.tobytes())
    return unit(sums @ normals), sums


def _sunlight(surface: Surface, normals: Array, sums: sparse.csr_matrix, light: Light) -> Array:
    """[n] in [0, 1]: the sun that each vertex gets: Lambert, wrapped a little, with a small soft map of shadows."""
    sun, v = unit(light.sun), surface.vertices
    x = unit(np.cross(sun, (0.3, 0.9, 0.1)))
    height = v @ sun
    cells = np.stack([v @ x, v @ np.cross(sun, x)], 1) / SHADOW_CELL
    cells = (cells - cells.min(0)).astype(np.int32) + 1
    top = np.full(cells.max(0) + 2, -1e9)
    np.maximum.at(top, (cells[:, 0], cells[:, 1]), height)
    around = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    dark = sum(
        np.clip((top[cells[:, 0] + i, cells[:, 1] + j] - height - 2 * SHADOW_CELL) / 0.05, 0, 0.2) for i, j in around
    )
    smooth = sums @ np.asarray(dark)[surface.triangles].mean(1) / np.maximum(sums @ np.ones(sums.shape[1]), 1)
    return np.asarray(np.clip(normals @ sun * 0.85 + 0.15, 0, 1) * (1 - light.shadow * smooth))


LIT, SKY, SHINE, PLACE_X, PLACE_Y, SHARE, DEPTH = range(7)


def _attributes(surface: Surface, depth: Array, light: Light, to_eye: Array) -> NDArray[np.float32]:
    """[n, 7]: what is interpolated between vertices."""
    normals, sums = vertex_normals(surface)
    attributes = np.zeros((len(depth), 7), np.float32)
    attributes[:, LIT] = _sunlight(surface, normals, sums, light)
    attributes[:, SKY] = (0.8 + 0.2 * normals[:, 1]) * (0.45 + 0.55 * surface.openness)
    if isinstance(surface.colour, Texture):
        attributes[:, SHINE] = 0.1 * np.clip(normals @ unit(unit(light.sun) + to_eye), 0, 1) ** 24
        attributes[:, PLACE_X : PLACE_Y + 1] = surface.colour.place
        attributes[:, SHARE] = surface.colour.dorsal_share
    attributes[:, DEPTH] = depth
    return attributes


def draw(picture: Picture, surfaces: list[Surface], camera: Camera, behind: Depths, light: Light) -> Depths:
    """Draw surfaces onto a picture, in place, where they stand before what it shows.

    Args:
        picture: RGB [height, width, 3].
        behind: of what the picture shows.

    Returns:
        the depths of the new picture.
    """
    result = Depths(behind.metres.copy(), behind.owner.copy())
    parts, triangles, first = [], [], [0]
    pixels = []
    for surface in surfaces:
        uv, depth = camera.project(surface.vertices)
        to_eye = unit(camera.centre - surface.vertices.mean(0))
        parts.append(_attributes(surface, depth, light, to_eye))
        pixels.append(uv)
        triangles.append(surface.triangles + first[-1])
        first.append(first[-1] + len(depth))
    if not surfaces:
        return result
    attributes, uv, corners = np.concatenate(parts), np.concatenate(pixels), np.concatenate(triangles)
    ids, (x0, y0), corners = _paint(uv, attributes[:, DEPTH], corners, camera)
    rows, columns = np.nonzero(ids >= 0)
    if not len(rows):
        return result
    seen = corners[ids[rows, columns]]
    weights = _barycentric(uv - (x0, y0), seen, rows, columns)
    kept = _covered(ids, uv - (x0, y0), corners, rows, columns)
    rows, columns, seen = rows[kept], columns[kept], seen[kept]
    weights = [np.clip(weight[kept], 0, 1) for weight in weights]
    total = np.add.reduce(weights)
    weights = [weight / total for weight in weights]
    at = np.zeros((len(rows), attributes.shape[1]), np.float32)
    for k, weight in enumerate(weights):
        at += attributes[seen[:, k]] * weight[:, None]
    rows, columns = rows + y0, columns + x0
    nearer = at[:, DEPTH] < behind.metres[rows, columns]
    rows, columns, at = rows[nearer], columns[nearer], at[nearer]
    which = np.searchsorted(first, seen[nearer, 0], "right") - 1
    owners = np.array([surface.owner for surface in surfaces], np.int16)
    result.metres[rows, columns], result.owner[rows, columns] = at[:, DEPTH], owners[which]
    colour = np.zeros((len(rows), 3), np.float32)
    for number, surface in enumerate(surfaces):
        mine = np.flatnonzero(which == number)
        if len(mine):
            colour[mine] = _albedo(surface.colour, at[mine])
    lit, sky = at[:, LIT, None], at[:, SKY, None]
    reddened = (
        0.1 * lit * (1 - lit) * np.array((1, 0.1, 0), np.float32)
    )  # light that went through the skin, at the edge of shade
    colour *= (
        light.ambient * sky + (1.05 - 0.6 * light.ambient) * lit * np.array((1.02, 1, 0.95), np.float32) + reddened
    )
    picture[rows, columns] = np.clip((colour + at[:, SHINE, None]) * 255, 0, 255)
    return result


def _paint(
    uv: Array, depth: NDArray[np.float32], corners: Triangles, camera: Camera
) -> tuple[NDArray[np.int32], tuple[int, int], Triangles]:
    """(which triangle is seen where, the corner of that part of the picture, the triangles it numbers)."""
    ahead = np.flatnonzero((depth[corners] > NEAREST).all(1))
    corners = corners[ahead]
    (ax, ay), (bx, by), (cx, cy) = (uv[corners[:, k]].T for k in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    low, high = np.minimum.reduce, np.maximum.reduce
    x_low, x_high, y_low, y_high = low((ax, bx, cx)), high((ax, bx, cx)), low((ay, by, cy)), high((ay, by, cy))
    inside = (x_high > 0) & (x_low < camera.width) & (y_high > 0) & (y_low < camera.height)
    keep = np.flatnonzero((area < 0) & inside)
    if not len(keep):
        return np.full((1, 1), -1, np.int32), (0, 0), corners
    x0, y0 = max(int(x_low[keep].min()) - 1, 0), max(int(y_low[keep].min()) - 1, 0)
    x1, y1 = min(int(x_high[keep].max()) + 2, camera.width), min(int(y_high[keep].max()) + 2, camera.height)
    keep = keep[np.argsort(-depth[corners[keep]].sum(1), kind="stable")]
    corners = corners[keep]
    ids = np.full((y1 - y0, x1 - x0), -1, np.int32)
    # To OpenCV whole numbers are the centres of pixels.
    places = np.round((uv[corners] - (x0 + 0.5, y0 + 0.5)) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    for i, triangle in enumerate(places):
        cv2.fillConvexPoly(ids, triangle, i, cv2.LINE_8, SUBPIXEL_BITS)
    return ids, (x0, y0), corners


def _covered(
    ids: NDArray[np.int32], uv: Array, corners: Triangles, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which painted pixels have their centre in a triangle. OpenCV paints outlines, too: a silhouette grows by them."""
    kept = np.ones(len(rows), bool)
    padded = np.pad(ids, 1, constant_values=-1)
    unsure = np.flatnonzero(cv2.dilate((ids < 0).astype(np.uint8), np.ones((3, 3), np.uint8))[rows, columns])
    inside = np.zeros(len(unsure), bool)
    p = np.stack([columns[unsure], rows[unsure]], 1) + 0.5
    # Its own triangle, or one that a neighbour shows.
    for row, column in np.ndindex(3, 3):
        near = padded[rows[unsure] + row, columns[unsure] + column]
        a, b, c = (uv[corners[near, k]] for k in range(3))
        # Distances to the three edges, below zero outside.
        edges = ((a, b), (b, c), (c, a))
        across = [((q - s)[:, 0] * (p - s)[:, 1] - (q - s)[:, 1] * (p - s)[:, 0], q - s) for s, q in edges]
        distances = [-d / np.maximum(np.hypot(*e.T), 1e-6) for d, e in across]
        inside |= (near >= 0) & (np.minimum.reduce(distances) > -OUTSIDE)
    kept[unsure] = inside
    return kept


def _barycentric(
    uv: Array, corners: Triangles, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    """Weights of the three corners [n, 3] of the triangle at each pixel's centre; below zero outside it."""
    p = np.stack([columns, rows], 1).astype(np.float32) + np.float32(0.5)
    uv = uv.astype(np.float32)
    a, b, c = (uv[corners[:, k]] - p for k in range(3))
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    wa = (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]) / area
    wb = (c[:, 0] * a[:, 1] - c[:, 1] * a[:, 0]) / area
    return [wa, wb, 1 - wa - wb]


def _albedo(colour: Texture | tuple[float, float, float], at: NDArray[np.float32]) -> NDArray[np.float32]:
    """RGB [n, 3] in [0, 1] without light."""
    if not isinstance(colour, Texture):
        return np.broadcast_to(np.array(colour, np.float32), (len(at), 3))
    dorsal, palmar = (_sample(im, at[:, PLACE_X], at[:, PLACE_Y]) for im in (colour.dorsal, colour.palmar))
    return palmar + (dorsal - palmar) * at[:, SHARE, None]


def _sample(picture: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bilinear colours [n, 3] at places; as a picture of rows of 256, since cv2.remap takes no long ones."""
    xs, ys = (np.resize(a, (-(-len(x) // 256), 256)) for a in (x, y))
    sampled = cv2.remap(picture, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled.reshape(-1, 3)[: len(x)]


def background(width: int, height: int, rng: np.random.Generator) -> Picture:
    """A room out of focus, RGB: a wall, a few muted things on it, a table."""

    def tint(low: float, high: float, spread: float = 10) -> Array:
        return rng.uniform(low, high) + rng.normal(0, spread, 3)

    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(-1, 1, width)[None, :, None]
    picture = (tint(90, 200) * (1.1 - 0.3 * y + rng.uniform(-0.2, 0.2) * x)).astype(np.float32)
    unit_size = width / 640
    floor = int(height * rng.uniform(0.55, 0.85))
    for _ in range(rng.integers(3, 8)):  # frames, shelves, furniture
        left, top = rng.uniform(-40, 640) * unit_size, rng.uniform(-0.08 * height, floor - 0.12 * height)
        wide, high = rng.uniform(50, 170) * unit_size, rng.uniform(0.08, 0.4) * height
        box = (int(left), int(top)), (int(left + wide), int(min(top + high, floor)))
        cv2.rectangle(picture, *box, tint(40, 210, 16).tolist(), -1)
        cv2.rectangle(picture, *box, tint(30, 120).tolist(), max(round(4 * unit_size), 1))
    picture[floor:] = tint(70, 150) * np.array((1.15, 1, 0.82)) * (1.1 - 0.5 * (y[floor:] - y[floor]))
    blurred = cv2.GaussianBlur(picture, (0, 0), 5 * unit_size)
    return np.clip(blurred, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Exposure:
    """What a camera makes of the light."""

    gain: float = 1.0
    noise: float = 1.0
    """Standard deviation, of 255."""
    blur: float = 1.0
    """Sigma in pixels. It matters: jagged edges hide hands from MediaPipe."""


class Lens:
    """Pictures as a camera gives them: blurred a little, exposed, with grain that is new in each."""

    MARGIN = 64

    def __init__(self, width: int, height: int, exposure: Exposure, rng: np.random.Generator) -> None:
        self._exposure = exposure
        self._rng = rng
        shape = (height + self.MARGIN, width + self.MARGIN, 3)
        self._grain = np.round(rng.standard_normal(shape, np.float32) * exposure.noise).astype(np.int16)

    def __call__(self, picture: Picture) -> Picture:
        blurred = cv2.GaussianBlur(picture, (0, 0), self._exposure.blur)
        exposed = cv2.convertScaleAbs(blurred, alpha=self._exposure.gain)
        x, y = self._rng.integers(self.MARGIN, size=2)
        height, width = picture.shape[:2]
        return np.asarray(cv2.add(exposed, self._grain[y : y + height, x : x + width], dtype=cv2.CV_8U))
