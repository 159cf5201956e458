"""For colcon: `colcon build --packages-select selfpose6d_ros`."""

from setuptools import setup

NAME = "selfpose6d_ros"

setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/pose.launch.py"]),
    ],
    install_requires=["setuptools", "selfpose6d"],
    zip_safe=True,
    license="Apache-2.0",
    entry_points={"console_scripts": [f"pose_node = {NAME}.node:main"]},
)
