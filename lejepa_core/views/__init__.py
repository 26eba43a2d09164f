"""Batched multi-crop augmentation: every sample and view has its own random parameters, on any device."""

from lejepa_core.views.draws import Draws, draw_views
from lejepa_core.views.make import make_views, plain_view, render
from lejepa_core.views.settings import ViewSettings

__all__ = ["Draws", "ViewSettings", "draw_views", "make_views", "plain_view", "render"]
