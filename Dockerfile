# selfpose6d with all it needs. Without a command the container runs make demo.
#
#   docker build -t selfpose6d --build-arg TORCH='torch --index-url URL' .    URL from PyTorch's install selector: a
#                                                                             CPU build, or the CUDA build of your driver
#   docker build -t selfpose6d .                                              the default build: CUDA, several GB
#   docker run --rm -v "$PWD/runs:/runs" selfpose6d                           make demo, its page in runs/demo
#   docker run --rm -v "$PWD:/runs" selfpose6d selfpose6d annotate /runs/data --out /runs/labels
#   docker run --rm --gpus all -v "$PWD:/runs" selfpose6d selfpose6d train /runs/data ... --device cuda
ARG PYTHON_VERSION=3.12
FROM python:${PYTHON_VERSION}-slim-bookworm

ARG TORCH=torch

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /selfpose6d
# torch first, in a layer of its own: it changes least and weighs most
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt $TORCH
COPY pyproject.toml LICENSE README.md Makefile ./
COPY src ./src
COPY examples ./examples
# make takes the container's own Python for the environment that make setup would have made
ENV VENV=/usr/local
RUN pip install --no-cache-dir --constraint constraints.txt . && touch /usr/local/.installed

# what is cached of meshes and compiled lies with the runs: there the next container finds it, and any user may write it
ENV XDG_CACHE_HOME=/runs/.cache NUMBA_CACHE_DIR=/runs/.cache/numba DEMO=/runs/demo
VOLUME /runs
CMD ["make", "demo"]
