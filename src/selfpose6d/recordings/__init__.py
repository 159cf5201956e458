"""Recordings of RGB-D cameras to capture folders: bags, videos, image folders, a live RealSense."""
