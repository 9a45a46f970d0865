# The trainer in a container: commands, configs and pinned requirements, no data.
#
#   docker build -t learner-jax .                                                              CPU
#   docker build -t learner-jax:gpu --build-arg REQUIREMENTS=requirements-gpu.txt .            CUDA 12
#   docker build -t learner-jax:tpu --build-arg REQUIREMENTS=requirements-tpu.txt .            launch/tpu_jobset.yaml
#   docker run --rm -v "$PWD:/work" -w /work --user "$(id -u)" learner-jax learner-status runs
#
# The identity key is not in the image: put it into a folder that is mounted, and name it by LEARNER_KEY_FILE.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim

ARG REQUIREMENTS=requirements.txt
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

# Alone, so that a change of the code does not install all of them again.
WORKDIR /learner_jax
COPY requirements.txt requirements-gpu.txt requirements-tpu.txt ./
RUN pip install -r "${REQUIREMENTS}"

COPY pyproject.toml README.md LICENSE ./
COPY learner_jax learner_jax
COPY tfds_builders tfds_builders
COPY configs configs
RUN pip install --no-deps --editable . \
    && useradd --create-home --uid 1000 learner \
    && chmod 1777 /home/learner

# 1000 or, by --user, whoever owns the mounted folders: compiled programs and weights are kept in the home of both.
ENV HOME=/home/learner
USER 1000
CMD ["learner-train", "--help"]
