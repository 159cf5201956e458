"""Procedural textured objects: shapes, artwork and a small catalogue of products."""
