#!/usr/bin/env bash
# What somebody does after `pip install`, in an empty folder, with her own config: build, train, score, compare.
#
#   tests/installed/smoke.sh FOLDER      FOLDER holds the commands: the bin of an environment
#
# Leaves nothing behind. The home is a new folder as well, so no key and no compiled program is there before.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
PATH=$(cd "$1" && pwd):$PATH
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/home" "$place/work"
cp "$here/mine.py" "$here/sweep.py" "$place/work"
cd "$place/work"
unset PYTHONPATH LEARNER_KEY_FILE LEARNER_REAL_DATA XDG_CACHE_HOME JAX_COMPILATION_CACHE_DIR
export HOME=$place/home JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES=1 JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0
export XLA_FLAGS='--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true' # compiles faster

# CODE WORDS COMMAND…: the command ends with the code and says the words.
expect() {
  local code=0 said began=$SECONDS
  said=$("${@:3}" 2>&1) || code=$?
  if [[ $code != "$1" || $said != *"$2"* ]]; then
    printf '%s\n' "$said" >&2
    echo "smoke.sh: code $code and the above, expected $1 and '$2': ${*:3}" >&2
    exit 1
  fi
  echo "$((SECONDS - began)) s  ${*:3}"
}

for name in build eval predict report status sweep train; do
  expect 0 "learner-$name " "learner-$name" --help
done
expect 0 'MiB in' learner-build synthetic_lus --data_dir data/mine --n_patients 24 --frames 2 --size 32 --processes 2
expect 2 "no field 'step'" learner-train --config mine.py --workdir runs/one --config.step=2
expect 2 'there is no file nothing.py' learner-train --config nothing.py --workdir runs/one
expect 0 '' learner-train --config mine.py --workdir runs/one
expect 0 'runs/one step 4: pairwise_accuracy' learner-eval --workdir runs
expect 0 'runs/report/index.html' learner-report runs
grep -q '<style' runs/report/index.html # the stylesheet is a file of the package
expect 0 '1 finished' learner-status runs
expect 2 'there is no folder elsewhere' learner-status elsewhere
expect 0 'all runs are trained' learner-sweep run sweep.py --out sweep
expect 0 'sweep/board/index.html' learner-sweep board sweep
test -s sweep/board/index.html
expect 0 'learner-train' python -m learner_jax.completion bash
python -m learner_jax.completion bash | bash -n
[[ $(find "$place/home" -type f -not -path '*/.cache/*') == '' ]] # a synthetic cohort needs no key
echo "smoke.sh: all of it in $SECONDS s"
