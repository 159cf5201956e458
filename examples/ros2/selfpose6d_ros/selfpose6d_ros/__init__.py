"""ROS 2 node: camera images and masks in, certified object poses out."""
