#!/usr/bin/env bash
# Builds the source distribution and, out of it, the wheel, into dist/; installs the wheel with the pins of
# requirements.txt into a new environment outside the checkout, and tries it there.
#
#   tests/installed/wheel.sh [PYTHON]
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1

# A copy, without what earlier builds and runs have left in the checkout: it must not end up in the wheel.
mkdir "$place/source"
left=(--exclude='./.*' --exclude=./build --exclude=./data --exclude=./dist --exclude=./runs)
left+=(--exclude='*.egg-info' --exclude=__pycache__)
tar -C "$root" --create "${left[@]}" . | tar -C "$place/source" --extract
"${1:-python3}" -m venv "$place/tools"
"$place/tools/bin/pip" install build
rm -rf "$root/dist"
"$place/tools/bin/python" -m build --outdir "$root/dist" "$place/source" > "$place/log" || { cat "$place/log"; exit 1; }
ls -l "$root"/dist
built=$SECONDS

"${1:-python3}" -m venv "$place/venv"
wheels=("$root"/dist/*.whl)
"$place/venv/bin/pip" install --constraint "$root/requirements.txt" "${wheels[0]}[completion]"
cd "$place" # not the checkout, which `python -c` would import
"$place/venv/bin/python" -c "import learner_jax, sys; sys.exit(not learner_jax.__file__.startswith(sys.prefix))"
echo "built in $built s, installed in $((SECONDS - built)) s"
"$root/tests/installed/smoke.sh" "$place/venv/bin"
