#!/usr/bin/env bash
# On one machine with one or several GPUs, restart the trainer until the run is finished.
#
#   launch/gpu_host.sh --config configs/ultrasound.py --workdir runs/lus/one --config.data.score=severity \
#     --config.eval.change_threshold=0.5
#
# Takes the flags of `python -m learner_jax.main` and acts on its exit codes:
#   0, 2   end (2: something for you to fix)
#   143    preempted after a committed checkpoint: restart the same command at once
#   else   restart after a pause, a limited number of times in a row
# SIGTERM and Ctrl-C reach the trainer as SIGTERM. It commits a checkpoint, then both end; the same command resumes.
#
# Environment:
#   PYTHON  interpreter with requirements-gpu.txt installed; default: .venv/bin/python
#   TRIES   failures in a row after which it ends; one after an hour's work counts as the first again; default: 5
#   PAUSE   whole seconds before the next try; default: 60
set -u
cd "$(dirname "$0")/.." || exit 2

python=${PYTHON:-.venv/bin/python} tries=${TRIES:-5} pause=${PAUSE:-60}
export JAX_PLATFORMS=${JAX_PLATFORMS:-cuda,cpu} # without its GPUs the run should fail, not crawl on the CPU

stop='' signalled=''
# Not SIGINT, which background processes of a script ignore.
trap 'stop=yes signalled=yes; kill -TERM "${!:-}" 2>/dev/null' INT TERM

# Sets `code` to the exit code of the newest background process. A signal ends `wait` before the process ends.
await() {
  [[ -z $stop ]] || kill -TERM "$!" # the signal came before the process started
  while :; do
    signalled=''
    wait "$!"
    code=$?
    [[ -n $signalled ]] || return 0
  done
}

failures=0
while :; do
  began=$SECONDS
  "$python" -m learner_jax.main "$@" &
  await
  if [[ $code == 0 || $code == 2 || -n $stop ]]; then
    exit "$code"
  elif [[ $code == 143 ]]; then
    failures=0
    echo "gpu_host.sh: preempted; the run goes on from its checkpoint" >&2
  else
    ((SECONDS - began > 3600)) && failures=0
    if ((++failures >= tries)); then
      echo "gpu_host.sh: code $code, failure $failures of $tries in a row; the reason is above" >&2
      exit "$code"
    fi
    echo "gpu_host.sh: code $code, failure $failures of $tries in a row; next try in $pause s" >&2
    # In short sleeps: a signal is served after each, at whatever moment it came.
    for ((end = SECONDS + pause; SECONDS < end; )); do
      [[ -z $stop ]] || break
      sleep 1
    done
    [[ -z $stop ]] || exit 143
  fi
done
