#!/usr/bin/env bash
# What a GPU makes of it, in ten minutes: the CUDA path against the CPU's, then the network in the paper's size for all
# meshes of a folder, trained on rendered frames (true poses; the speed is what counts), estimated and scored.
#
#   bash benchmarks/gpu.sh OUT MODELS [REAL]     MODELS: obj_NNNNNN.ply; REAL: a data set with a test split, for agreement
#
# Environment: PYTHON (python), FRAMES (1200) rendered to train on, MINUTES (4) of training, BATCH (256).
# Prints JSON lines and tables; everything is kept in OUT. A step that fails is named, the others still run.
set -uo pipefail
out=${1:?usage: gpu.sh OUT MODELS [REAL]} models=${2:?usage: gpu.sh OUT MODELS [REAL]} real=${3:-}
python=${PYTHON:-python} here=$(cd "$(dirname "$0")" && pwd)
selfpose6d="$python -m selfpose6d"
mkdir -p "$out"
failed=0
step() {  # NAME COMMAND...: run, keep the output, say how long it took
    local name=$1 start=$SECONDS
    shift
    "$@" >"$out/$name.log" 2>&1 || { failed=1; echo "$name FAILED"; }
    tail -n 25 "$out/$name.log"
    echo "$name: $((SECONDS - start)) s"
}
step gpu nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
step render $selfpose6d synth "$out/data" --models "$models" --frames "${FRAMES:-1200}" --test-frames 60 --seed 0
step agreement "$python" "$here/device_agreement.py" "${real:-$out/data}" --device cuda --json
for workers in 1 2 4 8; do  # instances under way at once: the rate must grow while the device waits for launches
    step "annotate-$workers" $selfpose6d annotate "$out/data" --split test --limit 16 --device cuda --workers $workers \
        --overlays 0 --out "$out/annotate-$workers"
done
step train $selfpose6d train "$out/data" --recipe supervised --size paper --batch "${BATCH:-256}" \
    --max-minutes "${MINUTES:-4}" --device cuda --cache "$out/cache" --out "$out/model"
for refine in none network; do
    step "estimate-$refine" $selfpose6d estimate "$out/model" "$out/data" --split test --refine $refine --device cuda \
        --out "$out/$refine"
    step "evaluate-$refine" $selfpose6d evaluate "$out/$refine" "$out/data"
done
exit $failed
