# The pipeline on a CPU, with what `make repro` needs:
#   docker build --tag sier .
#   docker run --rm --volume "$PWD/out:/sier/data" sier
# With --build-arg SIER_TORCH= for a machine with GPUs of NVIDIA (and docker run --gpus all --env SIER_DEVICE=cuda).
FROM python:3.12-slim AS base
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*

FROM base
ARG SIER_TORCH=cpu
ENV SIER_TORCH=$SIER_TORCH PATH=/sier/.venv/bin:$PATH
WORKDIR /sier
COPY . .
# No git here: a project that is to be versioned is mounted, or cloned into a container.
RUN make install && dvc config --local core.no_scm true
CMD ["make", "repro"]
