"""How rendered takes lie on disk: what each layout calls them, and what stands beside the videos."""

from __future__ import annotations

from dataclasses import dataclass

from handstream.synthetic import ci3d, folders
from handstream.synthetic.takes import Options, Take, TakePlan

LAYOUTS = ("folders", "ci3d")


@dataclass(frozen=True)
class Layout:
    """One of `LAYOUTS`, for these options."""

    name: str
    options: Options

    @property
    def _ci3d(self) -> bool:
        return self.name == "ci3d"

    def views(self, take: Take) -> list[int]:
        """The views that are filmed."""
        return ci3d.views_of(self.options, take) if self._ci3d else list(range(len(take.views)))

    def video_path(self, plan: TakePlan, camera: str) -> str:
        """Below OUT."""
        return ci3d.paths(self.options, plan, camera)[0] if self._ci3d else folders.video_path(plan, camera)

    def files_of_take(self, take: Take) -> dict[str, bytes]:
        """By path below OUT."""
        return ci3d.files_of_take(self.options, take) if self._ci3d else {}

    def files_of_all(self) -> dict[str, bytes]:
        """By path below OUT; written last."""
        if self._ci3d:
            return ci3d.files_of_all(self.options)
        return {**folders.calibrations(self.options), folders.MANIFEST: folders.manifest(self.options)}
