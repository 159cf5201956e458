"""Pictures: overlays, contact sheets, charts, the 3-D viewer."""
